"""Edits of a gene's graph neighbourhood, one question and one answer each; all that is scored is in `kgpert_lib.rl`.

A row carries its settings, because servers and replays rebuild a task from its row and never call `load`. Each
process reads the deltas of one setting once.
"""

from __future__ import annotations

from collections.abc import Iterator

import verifiers.v1 as vf
from pydantic import Field

from kgpert_lib.errors import InputError
from kgpert_lib.rl.tasks import EditTasks, Settings, Verdict


class EditData(vf.TaskData):
    """A question: the perturbation and line that it asks about, and the settings that its reward depends on."""

    gene: str
    line: str
    settings: Settings


class EditTask(vf.Task[EditData]):
    """One question, scored by what its answer does to the prediction."""

    @property
    def key(self) -> str:
        """``line/gene``, whatever place the question has in the stream."""
        return f"{self.data.line}/{self.data.gene}"

    @vf.stop
    async def answered(self, trace: vf.Trace) -> bool:
        """The first turn is the last."""
        return trace.num_turns > 0

    @vf.reward
    async def edit(self, trace: vf.Trace) -> dict[str, float]:
        """The weighted parts by name; their sum is the reward."""
        return self._judge(trace.last_reply).weighted

    @vf.metric
    async def measures(self, trace: vf.Trace) -> dict[str, float]:
        """Parts before weighting, gap, size of the edited neighbourhood, proposals that were dropped by kind."""
        return self._judge(trace.last_reply).metrics

    async def validate(self, runtime: vf.Runtime | None = None) -> bool:
        """Whether the gold answer is read whole, all of it counts, and it predicts no worse than the graphs."""
        gold = self._judge(EditTasks.of(self.data.settings).gold(self.data.line, self.data.gene))
        return gold.format == 1 and gold.gap >= 0 and not any(gold.dropped.values())

    def _judge(self, answer: str | None) -> Verdict:
        return EditTasks.of(self.data.settings).judge(self.data.line, self.data.gene, answer)


class EditConfig(vf.TasksetConfig, Settings):
    """The fields of `Settings`, as options of the taskset; lists, because the command line knows no tuples."""

    lines: list[str] = Field(default_factory=list)
    evaluated_lines: list[str] = Field(default_factory=list)


class EditTaskset(vf.Taskset[EditTask, EditConfig]):
    """The questions of `EditTasks`, in its order."""

    def load(self) -> Iterator[EditTask]:
        """The tasks; settings that name what cannot be had end the run with one sentence."""
        settings = Settings(**self.config.model_dump(include=set(Settings.model_fields)))
        try:
            for idx, question in enumerate(EditTasks.of(settings).questions):
                system, user = question.prompt.messages
                row = EditData(
                    idx=idx,
                    name=f"{question.line}/{question.gene}",
                    system_prompt=system["content"],
                    prompt=user["content"],
                    gene=question.gene,
                    line=question.line,
                    settings=settings,
                )
                yield EditTask(row, self.config.task)
        except InputError as error:
            raise SystemExit(f"kgpert: {error}") from error
