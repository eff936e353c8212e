"""The job's files laid over each other, what they settle, and what a run is expected to need."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.rl.job import config as job

LINES = ("k562", "rpe1", "hepg2", "jurkat")
KEYS = st.sampled_from("abc")
VALUES = st.one_of(st.integers(), st.lists(st.integers(), max_size=2))
TABLES = st.recursive(
    st.dictionaries(KEYS, VALUES, max_size=3), lambda inner: st.dictionaries(KEYS, inner | VALUES, max_size=3)
)


def job_config(*overlays):
    return job.read(job.job_files(overlays))


@given(TABLES, TABLES, TABLES)
def test_files_are_laid_over_each_other_in_order_and_none_is_changed(a, b, c):
    before = str((a, b, c))
    assert job.overlaid(a, a) == a
    assert job.overlaid(a, {}) == a
    assert job.overlaid({}, a) == a
    assert job.overlaid(job.overlaid(a, b), c).keys() == a.keys() | b.keys() | c.keys()
    for key, value in b.items():
        if not isinstance(value, dict):
            assert job.overlaid(a, b)[key] == value
    assert str((a, b, c)) == before


def test_tables_merge_and_lists_are_replaced_whole(tmp_path):
    (tmp_path / "base.toml").write_text('seq_len = 1\n[a]\nkeep = 1\nlist = [1, 2]\n[[s]]\nname = "x"\nmore = 1\n')
    (tmp_path / "over.toml").write_text('[a]\nlist = [3]\n[[s]]\nname = "y"\n')
    merged = job.read([tmp_path / "base.toml", tmp_path / "over.toml"])
    assert merged == {"seq_len": 1, "a": {"keep": 1, "list": [3]}, "s": [{"name": "y"}]}


def test_a_file_that_is_no_toml_or_not_there_is_named(tmp_path):
    (tmp_path / "broken.toml").write_text("a = \n")
    with pytest.raises(InputError, match=r"broken\.toml is no TOML"):
        job.read([tmp_path / "broken.toml"])
    with pytest.raises(InputError, match=r"nowhere\.toml cannot be read"):
        job.read([tmp_path / "nowhere.toml"])
    with pytest.raises(InputError, match="Unknown overlay 'h200x8'; it is one of h100x4"):
        job.job_files(["h200x8"])


def test_the_base_is_the_papers_run_with_everything_else_at_its_default():
    rows = job.resolved(job_config("h100x4")).set_index("setting")
    expected = {
        "model": ("Qwen/Qwen3-4B-Instruct-2507", "file"),
        "steps": ("1500", "file"),
        "answers to a question": ("8", "file"),
        "questions a step": ("16", "derived"),
        "learning rate": ("1e-06", "default"),
        "algorithm": ("grpo", "default"),
        "weights reach the server by": ("filesystem", "file"),
        "GPUs for inference": ("2", "file"),
        "GPUs for training": ("2", "file"),
    }
    for setting, (value, source) in expected.items():
        assert tuple(rows.loc[setting]) == (value, source)
    assert "deployment" not in job_config()


def test_three_lines_leave_k562_out_of_both_sources_and_its_test_genes_out_of_training():
    config = job_config("three_lines", "h100x4")
    assert config["max_steps"] == 750
    [train], [held_out] = job.sources(config, "train"), job.sources(config, "eval")
    for source in (train, held_out):
        settings = job.task_settings(source)
        assert settings.lines == LINES[1:]
        assert settings.evaluated_lines == LINES
    assert (train["env"]["taskset"]["split"], held_out["env"]["taskset"]["split"]) == ("train", "validation")
    assert config["orchestrator"]["eval"]["interval"] == 100  # of the base


@pytest.mark.parametrize("overlays", [(), ("three_lines",)])
def test_training_and_evaluation_differ_in_nothing_but_what_is_asked(overlays):
    [train], [held_out] = (job.sources(job_config(*overlays), where) for where in ("train", "eval"))
    assert job.task_settings(train).model_copy(update={"split": "validation"}) == job.task_settings(held_out)
    assert train["env"]["agent"] == held_out["env"]["agent"]


def test_the_final_evaluation_asks_the_test_genes_of_every_line_once_in_both_forms():
    evals = job.read([job.job_folder() / "evals.toml"])
    tasks = [job.task_settings(source) for source in job.sources(evals, "eval")]
    assert tuple(line for task in tasks for line in task.lines) == LINES
    whole = job.task_settings(job.read([job.job_folder() / "vf_eval.toml"]))
    assert whole.lines == LINES
    assert {task.model_copy(update={"lines": LINES}) for task in tasks} == {whole}
    assert whole.split == "test"
    assert (job.kind(evals), job.kind(job_config())) == ("evals", "rl")


@pytest.mark.parametrize(
    ("overlays", "inference", "training"),
    [(("h100x4",), 2, 2), (("one_gpu",), 1, 1), (("multi_node_slurm",), 8, 8), ((), 1, 1)],
)
def test_gpus_of_each_layout(overlays, inference, training):
    assert job.gpus(job_config(*overlays)) == (inference, training)
    assert job.shares_card(job_config(*overlays)) == (overlays == ("one_gpu",))


def test_disk_is_what_the_intervals_keep():
    # Steps 0, 100, ..., 1500 stay, besides the last before the end and one that is being written; two checkpoints
    # and one that is being written.
    weights, checkpoints = (size for _, size in job.disk(job_config("h100x4")))
    assert weights == pytest.approx(18 * 4.02e9 * 2)
    assert checkpoints == pytest.approx(3 * 4.02e9 * 12)
    smoke = job.overlaid(job_config("h100x4"), {"max_steps": 5})
    assert [size for _, size in job.disk(smoke)] == pytest.approx([3 * 4.02e9 * 2, 2 * 4.02e9 * 12])
    adapters, _ = (size for _, size in job.disk(job_config("one_gpu")))
    assert adapters < weights / 20


def test_the_papers_hours_are_given_in_both_readings_and_scale_with_the_steps():
    table = job.expected(job_config("h100x4"), price=2.0)
    assert table["hours"].tolist()[:2] == [192, 48]
    assert table["gpu_hours"].tolist()[:2] == [768, 192]
    assert table["dollars"].tolist()[:2] == [1536, 384]
    half = job.expected(job_config("three_lines", "h100x4"), price=2.0)
    assert half["gpu_hours"].tolist() == pytest.approx((table["gpu_hours"] / 2).tolist())


def test_epochs_count_questions_not_answers():
    assert job.epochs(job_config(), 2400) == pytest.approx(1500 * (128 / 8) / 2400)


def test_every_file_is_in_the_folder_and_every_overlay_changes_something():
    names = {path.stem for path in job.job_folder().glob("*.toml")}
    assert names == {job.BASE, *job.OVERLAYS, "evals", "vf_eval"}
    base = tomllib.loads((job.job_folder() / "rl.toml").read_text())
    assert all(job_config(name) != base for name in job.OVERLAYS)
