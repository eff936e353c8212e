"""Traces as Verifiers writes them, without what nobody reads."""

import json

from kgpert_lib.rl.tasks import EditTasks

ANSWERS = ('{"add": [], "remove": []}', "nothing", None)


def trace(settings, line, gene, text, weighted):
    """The trace of one answer with the weighted parts of its reward."""
    nodes = [{"message": {"role": "user", "content": "?"}}]
    if text is not None:
        nodes.append({"message": {"role": "assistant", "content": text}})
    return {
        "task": {"data": {"line": line, "gene": gene, "settings": settings.model_dump(mode="json")}},
        "nodes": nodes,
        "calls": [{"model": "smol", "usage": {"completion_tokens": 7}}],
        "rewards": {name: {"score": value, "weight": 1.0} for name, value in weighted.items()},
    }


def write(folder, settings):
    """Add to a folder's traces those of `ANSWERS` to the first questions, scored, and one that failed."""
    tasks = EditTasks.of(settings)
    rows = [
        trace(settings, line, gene, text, tasks.judge(line, gene, text).weighted)
        for (line, gene), text in zip(tasks.stream, ANSWERS, strict=False)
    ]
    rows.append(trace(settings, *tasks.stream[3], None, {}) | {"rewards": {"format": None}})
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "traces.jsonl").open("a") as file:
        file.write("".join(json.dumps({"traces": [row]}) + "\n" for row in rows))
    return folder
