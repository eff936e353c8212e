"""The metrics that Prime-RL writes, read while it writes them."""

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.rl.job.watch import Progress
from tests.rl.job import runs


def test_a_row_a_step_with_the_values_of_all_answers(tmp_path):
    runs.write(tmp_path, [runs.held_out_row(0, 0.5, -0.01)])
    runs.write(tmp_path, [*runs.step_rows(1, 0.6, 0.01, 400), *runs.step_rows(2, 0.7, 0.02, 300)])
    table = Progress.of(tmp_path).update().table()
    assert table["step"].tolist() == [0, 1, 2]
    assert table["reward"].tolist()[1:] == [0.6, 0.7]
    assert table["gap"].tolist()[1:] == [0.01, 0.02]
    assert table["tokens"].tolist()[1:] == [400, 300]
    assert table["held-out reward"].tolist()[0] == 0.5
    parts = table[["format", "validity", "pearson"]].sum(axis=1)[1:]
    np.testing.assert_allclose(parts, table["reward"][1:])


def test_the_last_line_is_read_when_it_is_whole(tmp_path):
    runs.write(tmp_path, runs.step_rows(1, 0.6, 0.01, 400))
    progress = Progress.of(tmp_path).update()
    whole = (tmp_path / "metrics.jsonl").read_text()
    runs.write(tmp_path, runs.step_rows(2, 0.7, 0.02, 300)[:1], end="")
    half = (tmp_path / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text(half[: len(whole) + 40])
    assert progress.update().table()["step"].tolist() == [1]
    (tmp_path / "metrics.jsonl").write_text(half + "\n")
    assert progress.update().table()["reward"].tolist() == [0.6, 0.7]


def test_a_resumed_run_writes_a_step_again_and_the_later_one_counts(tmp_path):
    runs.write(tmp_path, [*runs.step_rows(1, 0.6, 0, 400), *runs.step_rows(2, 0.1, 0, 400)])
    runs.write(tmp_path, runs.step_rows(2, 0.8, 0, 400))
    assert Progress.of(tmp_path).update().table()["reward"].tolist() == [0.6, 0.8]


@pytest.mark.parametrize("value", [float("nan"), None, "0.5", True, [1]])
def test_what_is_no_number_is_a_gap(tmp_path, value):
    [row, trainer] = runs.step_rows(1, 0.6, 0.01, 400)
    row["train/agg/all/agent/metrics/gap/mean"] = value
    runs.write(tmp_path, [row, trainer, *runs.step_rows(2, 0.6, 0.02, 400)])
    gaps = Progress.of(tmp_path).update().table()["gap"]
    assert np.isnan(gaps[0])
    assert gaps[1] == 0.02


def test_damaged_lines_are_passed_over(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1, "train\xff\n[1]\n7\n{"step": "x"}\n{"time": 3}\n\n')
    runs.write(tmp_path, runs.step_rows(3, 0.6, 0.01, 400))
    assert Progress.of(tmp_path).update().table()["step"].tolist() == [3]


def test_a_file_that_was_begun_anew_is_read_from_its_start(tmp_path):
    runs.write(tmp_path, [*runs.step_rows(1, 0.6, 0, 1), *runs.step_rows(2, 0.6, 0, 1)])
    progress = Progress.of(tmp_path).update()
    (tmp_path / "metrics.jsonl").unlink()
    assert progress.update().table()["step"].tolist() == [1, 2]
    runs.write(tmp_path, runs.step_rows(1, 0.9, 0, 1))
    assert progress.update().table()["reward"].tolist() == [0.9]


def test_the_last_steps_and_no_columns_without_values(tmp_path):
    for step in range(1, 6):
        runs.write(tmp_path, runs.step_rows(step, 0.5, 0, 1))
    table = Progress.of(tmp_path).update().table(last=2)
    assert table["step"].tolist() == [4, 5]
    assert "held-out reward" not in table


def test_a_run_without_metrics_has_no_rows_and_one_that_is_not_there_is_an_error(tmp_path):
    assert Progress.of(tmp_path).update().table().empty
    with pytest.raises(InputError, match="nowhere is no folder"):
        Progress.of(tmp_path / "nowhere")
