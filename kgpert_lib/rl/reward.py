"""The reward of an answer that edits a neighbourhood (paper, section 5.2): a weighted mean of three parts.

The paper names the parts and that their mean is taken; the formulas of validity and Pearson part are reconstructed,
and the published values of `ALPHA` and `BETA` are lost. The defaults here come from
`kgpert_lib.studies.reward`, which chapter 4 shows.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Vector = NDArray[np.float64]

ALPHA = 8.0  # Pearson part per unit of gap, up to 1
BETA = 0.1  # share of the Pearson part that only the sign of the gap decides
TIE = 1e-9  # a gap at or below this is rounding


class Weights(BaseModel):
    """Shares of the three parts in the reward; they are divided by their sum, so 1, 1, 1 is the paper's mean.

    By default the Pearson part has one half. With more, a readable answer could earn less than an unreadable one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    validity: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    pearson: float = Field(default=2.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if not self.format + self.validity + self.pearson > 0:
            raise ValueError("the weights of the reward are all 0; give one of them a positive weight")
        return self

    def shares(self) -> dict[str, float]:
        """The weights by part, with a sum of 1."""
        total = self.format + self.validity + self.pearson
        return {"format": self.format / total, "validity": self.validity / total, "pearson": self.pearson / total}


def format_part(readable: ArrayLike) -> Vector:
    """1 where both sets were read whole out of the answer, else 0."""
    return np.asarray(readable, dtype=bool).astype(np.float64)


def validity_part(valid: ArrayLike, proposed: ArrayLike) -> Vector:
    """Share of the proposals that count, 0 where nothing is proposed (reconstructed).

    `valid` is ``|A & (P_train - N)| + |R & N|`` and `proposed` ``|A| + |R|``, for additions A to and removals R from a
    neighbourhood N among the training perturbations P_train: adding what is there already earns nothing.
    """
    count, every = np.asarray(valid, dtype=np.float64), np.asarray(proposed, dtype=np.float64)
    return np.divide(count, every, out=np.zeros(np.broadcast(count, every).shape), where=every > 0)


def pearson_part(gap: ArrayLike, alpha: float = ALPHA, beta: float = BETA) -> Vector:
    """``(1 - beta) * clip(alpha * gap, -1, 1) + beta * sign(gap)``, from -1 to 1 (reconstructed).

    `gap` is the Pearson delta of the edited neighbourhood's mean minus that of the unedited one.

    Examples
    --------
    >>> from kgpert_lib.rl.reward import pearson_part
    >>> pearson_part([0.0, 0.05, 1.0, -1.0]).round(2).tolist()
    [0.0, 0.46, 1.0, -1.0]
    """
    g = np.asarray(gap, dtype=np.float64)
    g = np.where(np.abs(g) <= TIE, 0.0, g)
    return (1 - beta) * np.clip(alpha * g, -1.0, 1.0) + beta * np.sign(g)


def rewards(
    readable: ArrayLike,
    valid: ArrayLike,
    proposed: ArrayLike,
    gap: ArrayLike,
    weights: Weights | None = None,
    alpha: float = ALPHA,
    beta: float = BETA,
) -> tuple[Vector, Vector]:
    """Parts (k, 3) in the order format, validity, Pearson, and rewards (k,) of k answers, from -1 to 1.

    An answer that is not readable has 0 for all three parts.

    Examples
    --------
    >>> from kgpert_lib.rl.reward import rewards
    >>> parts, reward = rewards(readable=[1, 0], valid=[2, 2], proposed=[4, 2], gap=[0.05, 0.05])
    >>> parts.round(2).tolist(), reward.round(2).tolist()
    ([[1.0, 0.5, 0.46], [0.0, 0.0, 0.0]], [0.6, 0.0])
    """
    read = format_part(readable)
    parts = np.stack([read, validity_part(valid, proposed), pearson_part(gap, alpha, beta)], axis=-1) * read[..., None]
    return parts, parts @ np.array(list((weights or Weights()).shares().values()))
