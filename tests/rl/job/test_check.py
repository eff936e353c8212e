"""Each trap that real configurations fell into is named, and the job's own files have none."""

import copy

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.job.check import EVALS_KEYS, KEYS, Questions, check, counted, measure

COMBINATIONS = [
    ("h100x4",),
    ("one_gpu",),
    ("multi_node_slurm",),
    ("three_lines", "h100x4"),
    ("three_lines", "one_gpu"),
    ("three_lines", "multi_node_slurm"),
]


def job_config(*overlays):
    return job.read(job.job_files(overlays))


def changed(config, key, value):
    """A copy with one dotted key set, or removed with the value None; a number in the key counts in a list."""
    config = copy.deepcopy(config)
    *way, last = key.split(".")
    table = config
    for part in way:
        table = table[int(part)] if part.isdigit() else table.setdefault(part, {})
    if value is None:
        del table[last]
    else:
        table[last] = value
    return config


def keys(config, level="error", questions=None):
    return [finding.key for finding in check(config, questions) if finding.level == level]


@pytest.mark.parametrize("overlays", COMBINATIONS)
def test_the_files_of_the_job_have_no_finding(overlays):
    assert check(job_config(*overlays)) == []


@pytest.mark.parametrize("name", ["evals", "vf_eval"])
def test_the_files_of_the_final_evaluation_have_no_finding(name):
    assert check(job.read([job.job_folder() / f"{name}.toml"])) == []


TRAIN, EVAL = "orchestrator.train.source", "orchestrator.eval.source"
TRAPS = {
    "old name of the group size": ("orchestrator.rollouts_per_example", 8, "orchestrator.rollouts_per_example"),
    "environments under their old name": ("orchestrator.train.env", [{"id": "kgpert"}], "orchestrator.train.env"),
    "arguments of the old environments": (f"{TRAIN}.0.args", {"limit": 20}, f"{TRAIN}.args"),
    "misspelt key at the top": ("max_step", 10, "max_step"),
    "misspelt key in a table": ("ckpt.intervall", 10, "ckpt.intervall"),
    "misspelt key of a source": (f"{EVAL}.0.nmae", "x", f"{EVAL}.nmae"),
    "misspelt option of the taskset": (f"{TRAIN}.0.env.taskset.line", ["k562"], f"{TRAIN}.env.taskset"),
    "impossible option of the taskset": (f"{TRAIN}.0.env.taskset.validation", 2.0, f"{TRAIN}.env.taskset"),
    "group of one": ("orchestrator.group_size", 1, "orchestrator.group_size"),
    "group size unset": ("orchestrator.group_size", None, "orchestrator.group_size"),
    "group of one in the source": (f"{TRAIN}.0.group_size", 1, "orchestrator.group_size"),
    "batch not divisible": ("orchestrator.batch_size", 100, "orchestrator.batch_size"),
    "no limit of the answer": (
        "orchestrator.train.sampling.max_completion_tokens", None, "orchestrator.train.sampling.max_completion_tokens",
    ),
    "too many GPUs": ("deployment.num_train_gpus", 3, "deployment.gpus_per_node"),
    "NCCL with one copy of the model": ("inference.vllm.data_parallel_size", 1, None),
    "LoRA over NCCL": ("trainer.model.lora", {"rank": 16}, None),
    "harness by default": (f"{TRAIN}.0.env.agent.harness", None, f"{TRAIN}.env.agent.harness.id"),
    "harness with tools": (f"{EVAL}.0.env.agent.harness.id", "bash", f"{EVAL}.env.agent.harness.id"),
    "runtime by default": (f"{TRAIN}.0.env.agent.runtime", None, f"{TRAIN}.env.agent.runtime.type"),
    "wandb offline": ("monitors.wandb", {"offline": True}, "monitors.wandb.offline"),
    "folder as model without its renderer": ("model.name", "/models/qwen", "orchestrator.renderer.name"),
    "one node's GPUs on several nodes": ("deployment.type", "multi_node", "deployment.num_train_gpus"),
    "nodes on one node": ("deployment.num_infer_nodes", 1, "deployment.num_infer_nodes"),
    "other share of validation genes": (f"{EVAL}.0.env.taskset.validation", 0.1, f"{EVAL}.env.taskset.validation"),
    "other validation genes": (f"{EVAL}.0.env.taskset.seed", 1, f"{EVAL}.env.taskset.seed"),
    "line whose test genes are trained on": (
        f"{TRAIN}.0.env.taskset.evaluated_lines", ["rpe1"], f"{TRAIN}.env.taskset.evaluated_lines",
    ),
    "single brackets": (TRAIN, {"name": "kgpert"}, TRAIN),
    "text for a number": ("orchestrator.batch_size", "128", "orchestrator.batch_size"),
    "number for a table": ("deployment", 4, "deployment"),
    "no orchestrator": ("orchestrator", None, "orchestrator"),
}  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_an_error_in_one_line_at_its_key(trap):
    key, value, where = TRAPS[trap]
    config = changed(job_config("h100x4"), key, value)
    if where is None:  # only without the files that carry weights
        config = changed(config, "weight_broadcast.type", "nccl")
        where = "weight_broadcast.type" if "lora" in key else key
    errors = [finding for finding in check(config) if finding.level == "error"]
    assert where in [error.key for error in errors]
    assert all("\n" not in str(error) and str(error).startswith("error: ") for error in errors)


def test_what_an_old_key_is_called_now_and_what_a_misspelt_one_may_mean():
    config = changed(job_config("h100x4"), "orchestrator.rollouts_per_example", 8)
    assert "write orchestrator.group_size" in str(check(config)[0])
    assert "did you mean max_steps" in str(check(changed(config, "max_stesp", 8))[1])


@pytest.mark.parametrize(
    ("key", "value", "where"),
    [
        (f"{EVAL}.0.env.taskset.split", "test", f"{EVAL}.env.taskset.split"),
        (f"{EVAL}.0.env.taskset.split", "train", f"{EVAL}.env.taskset.split"),
        ("orchestrator.eval.sampling.max_completion_tokens", None, "orchestrator.eval.sampling.max_completion_tokens"),
        ("weight_broadcast", None, "weight_broadcast.type"),
        ("ckpt", None, "ckpt"),
        ("max_steps", None, "max_steps"),
        ("monitors.file", "None", "monitors.file"),
    ],
)
def test_what_works_and_is_regretted_later_is_a_warning(key, value, where):
    config = changed(job_config("h100x4"), key, value)
    assert keys(config) == []
    assert keys(config, "warning") == [where]


def test_a_prompt_with_its_answer_has_to_fit_into_a_row_and_into_the_context():
    config = job_config("h100x4")
    fits, above = {"kgpert": Questions(100, 2048)}, {"kgpert": Questions(100, 2049)}
    assert keys(config, questions=fits) == []
    assert keys(config, questions=above) == ["seq_len", "inference.vllm.max_model_len"]
    facts = [str(f) for f in check(config, fits)]
    assert facts == [
        "kgpert: 100 questions; the longest prompt has 2,048 tokens, with an answer 3,072.",
        "kgpert: 1,500 steps ask each question 240.0 times.",
    ]


def test_several_nodes_need_slurm_and_no_gpus_of_one_node():
    alone = changed(job_config("multi_node_slurm"), "slurm", None)
    assert keys(alone) == ["slurm"]
    assert keys(job_config("h100x4", "multi_node_slurm")) == ["deployment.num_train_gpus"]


def test_questions_that_cannot_be_had_are_a_warning_that_says_why():
    config = changed(job_config("h100x4"), f"{TRAIN}.0.env.taskset.atlas", "/nowhere/atlas")
    measured, [warning, *_] = counted(config)
    assert "kgpert" not in measured
    assert warning.level == "warning"
    assert "/nowhere/atlas" in warning.text


@pytest.mark.needs_mirror
def test_the_questions_of_the_job_fit_their_limits(mirror):
    [source] = job.sources(job_config("h100x4"), "train")
    measured = measure(source)
    assert measured.count > 3000
    assert 1024 < measured.longest <= 2048
    assert keys(job_config("h100x4"), questions={"kgpert": measured}) == []


def test_a_refused_option_names_those_there_are():
    with pytest.raises(InputError, match=r"has no option lins; it has atlas, lines"):
        job.task_settings({"env": {"taskset": {"id": "kgpert", "lins": []}}})


def test_known_tables_hold_each_other():
    for tables in (KEYS, EVALS_KEYS):
        for path in filter(None, tables):
            head, _, last = path.rpartition(".")
            assert head not in tables or last in tables[head]
