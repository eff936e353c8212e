"""Pearson delta of means over sets of training perturbations, many sets at a time (paper, section 5.2).

On dense deltas sets are scored through their Gram matrix, at a cost that does not depend on the number of readout
genes. On calls, of which most are missing, each set is averaged over the readout genes that its target measured,
as `kgpert_lib.predictors.average.average` does. What is fitted for a target never sees the target's own row: its
delta is no member of a set, no part of the mean that stands in for gaps, and no part of the completion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.oracle import CONSTANT
from kgpert_lib.metrics.deltas import undefined
from kgpert_lib.metrics.gram import Gram, correlation
from kgpert_lib.metrics.targets import own_readouts, without_own_readouts
from kgpert_lib.predictors.average import default_prior, shrunken
from kgpert_lib.predictors.completion import out_of_fold
from kgpert_lib.screens.atlas import TrainingLine
from kgpert_lib.types import FloatArray, NameArray

Vector = NDArray[np.float64]


class SetScores(Protocol):
    """Scores of sets of training perturbations for targets that are given when it is built; `Gram` has them."""

    def set_pearson(self, sets: sp.csr_matrix, targets: NDArray[np.intp]) -> Vector:
        """(k,) Pearson delta of the mean over each row of `sets` (k, t) with its target; the empty set is the mean of
        all training deltas but the target's own.
        """


def set_scores(
    line: TrainingLine,
    targets: NameArray,
    truth: FloatArray,
    readouts: NDArray[np.bool_] | None = None,
    completion: sp.csr_matrix | None = None,
    seed: int = 0,
) -> SetScores:
    """Scores of sets of a line's training perturbations against measured deltas.

    Parameters
    ----------
    line : (t, m) training deltas that sets are averaged over; the mean's strength is `default_prior`.
    targets : (p,) symbols; where one is a training perturbation its row counts nowhere but as `truth`.
    truth : (p, m) measured deltas of the targets, NaN for gaps. A target's own readout counts in no score.
    readouts : (m,) True for the readout genes that are scored; None: all.
    completion : (t, t) graph weights between the training perturbations, to fill the gaps of the line out of fold
        first; None: gaps stay.
    seed : of the folds.
    """
    own = pd.Index(line.perturbations).get_indexer(pd.Index(targets))
    prior, scored = default_prior(line), without_own_readouts(truth, targets, line.genes)
    every = np.ones(len(line.genes), dtype=bool) if readouts is None else readouts
    if line.dense and prior == 0 and not np.isnan(truth).any():
        rows, columns = own_readouts(targets, line.genes[every])
        readout = np.full(len(targets), -1)
        readout[rows] = columns
        return replace(Gram.of(line.delta[:, every], truth[:, every], readout), own=own)
    scored = np.where(every, scored, np.nan)
    folds = {0: _Rows(line.filled, line.measured)}
    fold = np.zeros(len(targets), dtype=np.intp)
    if completion is not None and not line.dense:
        for f, held in enumerate(out_of_fold(line, completion, seed=seed)):
            folds[f] = _Rows(held.line.filled, held.line.measured)
            fold[np.isin(targets, held.perturbations)] = f
    return MeasuredScores(scored, own, prior, folds, fold)


class _Rows(NamedTuple):
    """Training deltas (t, m) with 0 in the gaps, and where they were measured."""

    values: FloatArray
    measured: NDArray[np.bool_]


class _Target(NamedTuple):
    """What sets are scored against: measured genes, the unit vector of their centred deltas, and the mean there."""

    genes: NDArray[np.intp]
    unit: Vector
    mean: Vector


@dataclass(frozen=True, eq=False)
class MeasuredScores:
    """Scores of sets over the readout genes that each target measured.

    Attributes
    ----------
    truth : (p, m) measured deltas, NaN in gaps and at own readouts.
    own : (p,) row of each target among the training perturbations, -1 where it is none.
    prior : strength of the mean training delta.
    rows : training deltas by fold; `fold` (p,) says which of them a target is scored with.
    """

    truth: FloatArray
    own: NDArray[np.intp]
    prior: float
    rows: Mapping[int, _Rows]
    fold: NDArray[np.intp]
    _targets: dict[int, _Target] = field(default_factory=dict, init=False, repr=False)

    def set_pearson(self, sets: sp.csr_matrix, targets: NDArray[np.intp]) -> Vector:
        """(k,) as in `SetScores`; sets of one target are averaged together."""
        goal = np.asarray(targets, dtype=np.intp)
        owner = np.repeat(goal, np.diff(sets.indptr))
        if (sets.indices == self.own[owner]).any():
            raise InputError("A set holds its own target; leave the target's delta out of the set.")
        out = np.empty(len(goal))
        order = np.argsort(goal, kind="stable")
        starts = np.flatnonzero(np.diff(goal[order], prepend=-1))
        for which in np.split(order, starts[1:]):
            if len(which):
                members = [sets.indices[sets.indptr[i] : sets.indptr[i + 1]] for i in which]
                out[which] = self._of_target(int(goal[which[0]]), members)
        return out

    def _of_target(self, target: int, members: list[NDArray[np.int32]]) -> Vector:
        """Scores of some sets for one target."""
        genes, unit, mean = self._target(target)
        every, place = np.unique(np.concatenate(members), return_inverse=True)
        member = np.zeros((len(members), len(every)))
        member[np.repeat(np.arange(len(members)), [len(m) for m in members]), place] = 1.0
        rows = self.rows[int(self.fold[target])]
        block = np.ix_(every, genes)
        pred = shrunken(member @ rows.values[block], member @ rows.measured[block], self.prior, mean)
        centred = pred - pred.mean(axis=1, keepdims=True)
        square = np.einsum("ij,ij->i", centred, centred)
        return correlation(centred @ unit, square, np.einsum("ij,ij->i", pred, pred), CONSTANT**2)

    def _target(self, target: int) -> _Target:
        """The mean is over all training perturbations but the target, so that its own row is nowhere in it."""
        if target not in self._targets:
            genes = np.flatnonzero(~np.isnan(self.truth[target]))
            if not len(genes):
                raise InputError(f"Target {target} (counted from 0) has no measured gene, so no set can be scored.")
            y = self.truth[target, genes].astype(np.float64)
            centred = y - y.mean()
            unit = np.zeros_like(y) if undefined(y[None], y[None])[0] else centred / np.linalg.norm(centred)
            rows = self.rows[int(self.fold[target])]
            others = np.arange(len(rows.values)) != self.own[target]
            total = rows.values[:, genes][others].sum(axis=0, dtype=np.float64)
            count = rows.measured[:, genes][others].sum(axis=0)
            self._targets[target] = _Target(genes, unit, total / np.maximum(count, 1))
        return self._targets[target]


@dataclass(frozen=True, eq=False)
class EditScores:
    """Gaps of edited neighbourhoods of one line's targets.

    Attributes
    ----------
    base : (p, t) CSR of ones, the unedited neighbourhoods.
    scores : what scores them.
    """

    base: sp.csr_matrix
    scores: SetScores

    @cached_property
    def unedited(self) -> Vector:
        """(p,) Pearson delta of the unedited neighbourhoods."""
        return self.scores.set_pearson(self.base, np.arange(self.base.shape[0]))

    def edited(self, targets: ArrayLike, added: sp.csr_matrix, removed: sp.csr_matrix) -> sp.csr_matrix:
        """(k, t) CSR of ones, ``(N | A) - R`` for k targets (paper, section 5.1).

        `added` and `removed` (k, t) hold ones; an addition that is a neighbour and a removal that is none are ignored.
        """
        near = self.base[np.asarray(targets, dtype=np.intp)]
        sets = (near + added - added.multiply(near) - removed.multiply(near)).tocsr()
        sets.eliminate_zeros()
        return sets

    def gaps(self, targets: ArrayLike, sets: sp.csr_matrix) -> Vector:
        """(k,) Pearson delta of each set minus that of its target's unedited neighbourhood; 0 for an equal set."""
        goal = np.asarray(targets, dtype=np.intp)
        return self.scores.set_pearson(sets, goal) - self.unedited[goal]
