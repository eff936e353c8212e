"""The files of the training job: laid over each other as Prime-RL does, what they settle, and what the run costs."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kgpert_lib import paths
from kgpert_lib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from kgpert_lib.rl.tasks import Settings

BASE = "rl"
OVERLAYS = ("h100x4", "one_gpu", "multi_node_slurm", "three_lines")
TASKSET = "kgpert"

# Prime-RL's defaults at 559b447 that a check or an estimate needs.
BATCH_SIZE = 128
GROUP_SIZE = 1
SEQ_LEN = 2048
GPUS_PER_NODE = 8

# Qwen3-4B-Instruct-2507, from its config.json.
PARAMETERS = 4.02e9
LORA_PARAMETERS_PER_RANK = 2.06e6  # adapters of all seven projections in 36 layers

GB = 1e9
PAPER_HOURS = 192  # appendix D.2, for 1,500 steps on 4 H100s; of a GPU or on the clock is not said
PAPER_STEPS = 1500
PAPER_GPUS = 4

Config = dict[str, Any]
Kind = Literal["rl", "evals", "eval"]


def job_folder() -> Path:
    """The folder of the job's files: ``env/prime_rl`` of the source tree, or its copy in the installed library."""
    packaged = Path(paths.__file__).parent / "_prime_rl"
    return packaged if packaged.is_dir() else paths.DATA.parent / "env" / "prime_rl"


def job_files(overlays: Sequence[str] = ()) -> list[Path]:
    """The base file and overlays by name, in the order in which they are laid over each other.

    InputError for an unknown overlay.
    """
    for name in overlays:
        if name not in OVERLAYS:
            raise InputError(f"Unknown overlay {name!r}; it is one of {', '.join(OVERLAYS)}, or give its file instead.")
    return [job_folder() / f"{name}.toml" for name in (BASE, *overlays)]


def read(files: Sequence[str | Path]) -> Config:
    """The content of TOML files, each laid over those before it, as Prime-RL's ``@`` does.

    Tables are merged key by key; everything else, lists included, is replaced whole.

    Raises
    ------
    InputError
        Where a file cannot be read or is no TOML.
    """
    config: Config = {}
    for file in files:
        config = overlaid(config, _parsed(Path(file)))
    return config


def read_json(path: Path) -> Config:
    """A JSON object that Prime-RL or a model's publisher wrote; InputError where it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON; it is missing or damaged.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object; it is damaged.")
    return content


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> Config:
    """`base` with `over` laid over it; neither is changed."""
    result = dict(copy.deepcopy(base))
    for key, value in over.items():
        inner = result.get(key)
        both = isinstance(inner, dict) and isinstance(value, Mapping)
        result[key] = overlaid(inner, value) if both else copy.deepcopy(value)  # type: ignore[arg-type]
    return result


def kind(config: Mapping[str, Any]) -> Kind:
    """What a file is for: ``rl`` trains, ``evals`` is Prime-RL's evaluation, ``eval`` that of Verifiers."""
    if "eval" in config and "orchestrator" not in config:
        return "evals"
    return "eval" if "env" in config and "orchestrator" not in config else "rl"


def get(config: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """The value at a dotted key; `default` where a table on the way is missing, or the value is (``"None"``)."""
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return default if value == "None" else value


def sources(config: Mapping[str, Any], where: Literal["train", "eval"]) -> list[Config]:
    """The sources of questions for training or for evaluation, as the file has them; what is no table is left out."""
    head = "eval" if kind(config) == "evals" else f"orchestrator.{where}"
    if where == "train" and head == "eval":
        return []
    listed = get(config, f"{head}.source", [])
    return [source for source in listed if isinstance(source, dict)] if isinstance(listed, list) else []


def task_settings(source: Mapping[str, Any]) -> Settings:
    """The settings of the questions of a source.

    Raises
    ------
    InputError
        For an option that the taskset lacks or a value that it refuses.
    """
    from pydantic import ValidationError

    from kgpert_lib.rl.tasks import Settings

    options = {key: value for key, value in get(source, "env.taskset", {}).items() if key not in ("id", "task")}
    try:
        return Settings(**options)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(Settings.model_fields)
            raise InputError(f"The taskset {TASKSET} has no option {name}; it has {known}.") from error
        raise InputError(f"The option {name} of the taskset {TASKSET}: {first['msg'].lower()}.") from error


def group_size(config: Mapping[str, Any], source: Mapping[str, Any]) -> int:
    """Answers to one question of a training source."""
    return int(get(source, "group_size", get(config, "orchestrator.group_size", GROUP_SIZE)))


def gpus(config: Mapping[str, Any]) -> tuple[int, int]:
    """Cards for inference and for training, over all nodes; those of a single node by Prime-RL's default, one each."""
    layout = get(config, "deployment", {})
    if get(layout, "type") == "multi_node":
        each = int(get(layout, "gpus_per_node", GPUS_PER_NODE))
        replicas = int(get(layout, "num_infer_replicas", 1))
        nodes = int(get(layout, "num_infer_nodes", 1)) * replicas, int(get(layout, "num_train_nodes", 1))
        return nodes[0] * each, nodes[1] * each
    inference = int(get(layout, "num_infer_gpus", 1)) if get(config, "inference") is not None else 0
    return inference, int(get(layout, "num_train_gpus", 1))


def disk(config: Mapping[str, Any]) -> list[tuple[str, float]]:
    """What a whole run leaves on the disk, and most that is there at once: (arithmetic, bytes) of each part.

    Broadcast weights stay for every `ckpt.interval` steps, step 0 among them, and for the last two, with one more
    while the next is written. Checkpoints hold weights and both moments in float32, `keep_last` of them and one more
    while the next is written.
    """
    steps = int(get(config, "max_steps", PAPER_STEPS))
    interval = int(get(config, "ckpt.interval", 0) or 0)
    rank = get(config, "trainer.model.lora.rank", 16) if get(config, "trainer.model.lora") is not None else None
    trained = PARAMETERS if rank is None else rank * LORA_PARAMETERS_PER_RANK
    weights = trained * (2 if rank is None else 4)
    parts = []
    if get(config, "weight_broadcast.type") == "filesystem":
        kept = (steps // interval + 1 if interval else 1) + 2
        parts.append((f"broadcast weights {kept} x {weights / GB:.2g} GB", kept * weights))
    if get(config, "ckpt") is not None:
        saves = -(-steps // interval) if interval else 1  # the end besides
        held = min(int(get(config, "ckpt.keep_last", saves) or saves), saves) + 1
        each = (PARAMETERS * 4 if rank is not None else 0) + trained * 12
        parts.append((f"checkpoints {held} x {each / GB:.2g} GB", held * each))
    return parts


def resolved(config: Mapping[str, Any]) -> pd.DataFrame:
    """The settings of a run as a table (setting, value, from): ``file``, or Prime-RL's ``default``."""
    import pandas as pd

    batch = int(get(config, "orchestrator.batch_size", BATCH_SIZE))
    inference, training = gpus(config)
    lora = get(config, "trainer.model.lora")
    rows: list[tuple[str, Any, str]] = []

    def add(setting: str, key: str, default: Any) -> None:
        value = get(config, key)
        rows.append((setting, default if value is None else value, "default" if value is None else "file"))

    add("model", "model.name", "Qwen/Qwen3-0.6B")
    add("steps", "max_steps", "no end")
    add("answers a step", "orchestrator.batch_size", BATCH_SIZE)
    for source in sources(config, "train")[:1]:
        group = group_size(config, source)
        rows.append(("answers to a question", group, "file" if group != GROUP_SIZE else "default"))
        rows.append(("questions a step", batch // group, "derived"))
    add("tokens of an answer, most", "orchestrator.train.sampling.max_completion_tokens", "no limit")
    add("tokens of a training row", "seq_len", SEQ_LEN)
    add("temperature", "orchestrator.train.sampling.temperature", 1.0)
    add("algorithm", "orchestrator.algo.type", "grpo")
    add("optimizer", "trainer.optim.type", "adamw")
    add("learning rate", "trainer.optim.lr", 1e-6)
    add("weight decay", "trainer.optim.weight_decay", 0.01)
    add("gradient norm, most", "trainer.optim.max_norm", 1.0)
    add("steps off policy, most", "orchestrator.max_off_policy_steps", 8)
    add("rank of LoRA", "trainer.model.lora.rank", "all weights are trained" if lora is None else 16)
    add("weights reach the server by", "weight_broadcast.type", "nccl")
    add("steps between checkpoints", "ckpt.interval", "none")
    for where in ("train", "eval"):
        for source in sources(config, where):
            taskset = get(source, "env.taskset", {})
            lines = ", ".join(taskset.get("lines", ())) or "all lines"
            text = f"{taskset.get('split', 'train')} of {lines} ({taskset.get('atlas', 'perturbqa')})"
            rows.append(("questions for training" if where == "train" else "questions for evaluation", text, "file"))
    if sources(config, "eval"):
        add("steps between evaluations", "orchestrator.eval.interval", 100)
    rows.append(("GPUs for inference", inference, "file" if "deployment" in config else "default"))
    rows.append(("GPUs for training", training, "file" if "deployment" in config else "default"))
    return pd.DataFrame(
        [(name, str(value), source) for name, value, source in rows], columns=["setting", "value", "from"]
    )


def epochs(config: Mapping[str, Any], questions: int) -> float:
    """How often a run asks each of so many training questions, for one training source without gates."""
    group = group_size(config, next(iter(sources(config, "train")), {}))
    a_step = int(get(config, "orchestrator.batch_size", BATCH_SIZE)) / group
    return int(get(config, "max_steps", PAPER_STEPS)) * a_step / questions


def expected(
    config: Mapping[str, Any],
    price: float = 2.5,
    prompt_tokens: float = 1400,
    answer_tokens: float = 500,
    generation: float = 5_000,
    flops: float = 4.0e14,
    overhead: float = 15.0,
) -> pd.DataFrame:
    """Hours and cost of a run: the paper's figure by both of its readings, and an estimate of ours from throughput.

    Nothing here was measured by us; each row names what it assumes.

    Parameters
    ----------
    price : US dollars for an hour of one H100; an assumption, ask your provider.
    prompt_tokens, answer_tokens : mean lengths. generation : tokens that one card writes in a second.
    flops : floating-point operations that one card does in a second (bfloat16, 40 % of an H100's peak).
    overhead : seconds a step for writing and loading weights, for the optimizer on the host, and for waiting.

    Returns
    -------
    DataFrame with one row an assumption: ``assumption``, ``hours`` on the clock, ``gpu_hours``, ``dollars``. The
    paper's figures are for its four cards whatever the layout, in proportion to the steps.
    """
    import pandas as pd

    inference, training = gpus(config)
    one_card = shares_card(config)
    cards = 1 if one_card else inference + training
    steps = int(get(config, "max_steps", PAPER_STEPS))
    answers = int(get(config, "orchestrator.batch_size", BATCH_SIZE))
    writing = answers * answer_tokens / (generation * max(inference, 1))
    # Operations a weight and token: 2 forward, 4 backward, and 2 for the second forward of checkpointed activations.
    update = 8 * PARAMETERS * answers * (prompt_tokens + answer_tokens) / (flops * max(training, 1))
    a_step = (writing + update if one_card else max(writing, update)) + overhead
    scale = steps / PAPER_STEPS
    rows = [
        ("paper, 192 hours on the clock of 4 H100s", PAPER_HOURS * scale, PAPER_HOURS * scale * PAPER_GPUS),
        ("paper, 192 hours of a GPU, 4 H100s", PAPER_HOURS * scale / PAPER_GPUS, PAPER_HOURS * scale),
        (f"ours, {a_step:.0f} s a step", a_step * steps / 3600, a_step * steps / 3600 * cards),
    ]
    table = pd.DataFrame(rows, columns=["assumption", "hours", "gpu_hours"])
    return table.assign(dollars=(table["gpu_hours"] * price).round(0))


def shares_card(config: Mapping[str, Any]) -> bool:
    """Whether inference and training are laid out to share one card: one each, and vLLM leaves half of it free."""
    room = get(config, "inference.vllm.gpu_memory_utilization", 0.9)
    return gpus(config) == (1, 1) and isinstance(room, (int, float)) and room <= 0.5


def _parsed(file: Path) -> Config:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file} is no TOML ({error}); correct it there.") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise InputError(f"{file} cannot be read ({reason}); name a TOML file of the job.") from error
