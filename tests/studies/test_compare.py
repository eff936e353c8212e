from dataclasses import replace

import numpy as np
import pytest

from kgpert_lib.evaluation.evaluate import evaluate_lines
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.studies import compare
from tests import worlds

ATLAS = worlds.atlas()


def test_the_toy_averages_the_genes_that_respond_alike():
    line = ATLAS["k562"].training()
    name = next(p for p in ATLAS["k562"].names("test") if p in line.genes)
    own = list(line.genes).index(name)
    likeness = {}
    for gene in line.perturbations:
        if gene in line.genes:
            column = list(line.genes).index(gene)
            first, second = line.delta[:, own].copy(), line.delta[:, column].copy()
            second[line.index[str(gene)]] = 0  # its own knock-down
            likeness[str(gene)] = np.corrcoef(first, second)[0, 1]
    nearest = sorted(likeness, key=likeness.get)[-3:]
    result = compare.co_response(ATLAS.view("k562"), [name, "ELSEWHERE"], k=3)
    expected = line.delta[[line.index[gene] for gene in nearest]].mean(axis=0)
    np.testing.assert_allclose(result.delta[0], expected, atol=1e-6)
    np.testing.assert_allclose(result.delta[1], line.mean, atol=1e-6)
    assert result.n_neighbours.tolist() == [3, 0]
    assert result.fallback.tolist() == [False, True]


def test_it_reads_no_test_row_and_its_files_are_scored_as_predictions_from_outside(tmp_path):
    files = compare.write_predictions(ATLAS, tmp_path, k=4)
    spoilt = {
        name: replace(line, delta=np.where((line.split == "test")[:, None], 9, line.delta).astype(np.float32))
        for name, line in ATLAS.lines.items()
    }
    again = compare.write_predictions(replace(ATLAS, lines=spoilt), tmp_path / "again", k=4)
    for line in ATLAS.lines:
        one, two = (Predictions.load(written[line][0]) for written in (files, again))
        np.testing.assert_array_equal(one.delta, two.delta)
        assert list(one.perturbations) == ATLAS[line].names("test")
    table = evaluate_lines(ATLAS, ["k562", "rpe1"], [], outside=files)
    assert set(table["predictor"]) == {"co-response"}
    assert table.groupby("line")["pearson"].count().tolist() == [6, 6]


@pytest.mark.parametrize("k", [1, 100])
def test_any_number_of_neighbours_will_do(k):
    result = compare.co_response(ATLAS.view("k562"), ATLAS["k562"].names("test"), k)
    readouts = np.isin(ATLAS["k562"].training().perturbations, ATLAS["k562"].genes).sum()
    assert result.n_neighbours.max() == min(k, readouts)
