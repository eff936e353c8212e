"""The progress of a run, from the metrics that Prime-RL writes into its folder."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpert_lib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FILE = "metrics.jsonl"

# Column of the table -> the key that Prime-RL's file monitor writes; {agent} is the name of the only agent.
# "all" counts every answer, "effective" would leave out those without an advantage.
_TRAIN = {
    "reward": "train/agg/all/{agent}/reward/mean",
    "format": "train/agg/all/{agent}/rewards/format/mean",
    "validity": "train/agg/all/{agent}/rewards/validity/mean",
    "pearson": "train/agg/all/{agent}/rewards/pearson/mean",
    "gap": "train/agg/all/{agent}/metrics/gap/mean",
    "size": "train/agg/all/{agent}/metrics/size/mean",
    "tokens": "train/agg/all/num_output_tokens/mean",
    "longest": "train/agg/all/num_output_tokens/max",
    "cut off": "train/agg/all/{agent}/is_truncated/mean",
    "seconds": "time/step",
}
_VALIDATION = {
    "held-out reward": "eval/{env}/all/{agent}/reward/mean",
    "held-out gap": "eval/{env}/all/{agent}/metrics/gap/mean",
}
WATCHED = {**_TRAIN, **_VALIDATION}


@dataclass
class Progress:
    """What a run has written so far, one row a step. `update` reads on where it stopped reading.

    Trainer and orchestrator write to the same file, several lines a step, and a run that went on from a checkpoint
    writes the steps after it again: the last value of a step counts.

    Attributes
    ----------
    columns : column of the table -> key of the metrics, in which ``{agent}`` and ``{env}`` stand for any name.
    """

    path: Path
    columns: Mapping[str, str] = field(default_factory=lambda: WATCHED)
    rows: dict[int, dict[str, float]] = field(default_factory=dict)
    _offset: int = 0
    _places: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Path, columns: Mapping[str, str] = WATCHED) -> Progress:
        """The progress of the run in a folder.

        InputError for a folder that is not there.
        """
        if not run.is_dir():
            raise InputError(f"{run} is no folder; name the folder of a run, such as outputs/kgpert.")
        return cls(run / FILE, columns)

    def update(self) -> Progress:
        """Read what was added; a last line without its end is left for the next time, and no metrics are no error.

        InputError where the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                if self._offset > self.path.stat().st_size:  # it was begun anew
                    self._offset = 0
                    self.rows.clear()
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return self
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error.strerror}); ask its owner.") from error
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._add(line)
        return self

    def table(self, last: int | None = None) -> pd.DataFrame:
        """One row a step (column ``step``, then those of the metrics that occur, NaN for gaps), the `last` ones."""
        import pandas as pd

        order = list(self.columns)
        steps = sorted(self.rows)[-last if last else 0 :]
        frame = pd.DataFrame([{"step": step, **self.rows[step]} for step in steps], columns=["step", *order])
        empty = [name for name in order if frame[name].isna().all()]
        return frame.drop(columns=empty).reset_index(drop=True)

    def _add(self, line: bytes) -> None:
        try:
            row = json.loads(line)
        except ValueError:  # cut off by the end of a process, with the next one's line behind it
            return
        step = _number(row.get("step")) if isinstance(row, dict) else None
        if step is None or step < 0:
            return
        numbers = {column: _number(value) for key, value in row.items() if (column := self._column(key))}
        values = {column: number for column, number in numbers.items() if number is not None}
        if values:
            self.rows.setdefault(int(step), {}).update(values)

    def _column(self, key: str) -> str | None:
        """The column that a key of the metrics goes into."""
        if key not in self._places:
            matching = (column for column, pattern in self.columns.items() if _pattern(pattern).fullmatch(key))
            self._places[key] = next(matching, None)
        return self._places[key]


def _pattern(key: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(agent|env)\}", "[^/]+", key))


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
