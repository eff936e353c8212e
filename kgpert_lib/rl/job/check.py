"""What is wrong with the files of a training job, found without a GPU and without Prime-RL.

The traps are those that real configurations of Prime-RL fell into. Keys are known where the job uses their table; where
a checkout of Prime-RL is at hand, `kgpert_lib.rl.job.prime` asks its own classes besides.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kgpert_lib.errors import InputError
from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.job.config import Config, get

# Every key of the tables that the job uses, in Prime-RL at 559b447; a test compares them with its classes.
# A table that is not named here is not looked into.
_SAMPLING = {"temperature", "max_completion_tokens", "extra_body"}
_EVAL_SAMPLING = _SAMPLING | {"top_p", "top_k", "min_p", "reasoning_effort"}
_SOURCE = {"env", "serve", "name", "ratio", "sampling", "group_size"}
_EVAL = {
    "source", "sampling", "num_examples", "group_size", "interval", "skip_first_step", "retrigger_on_resume",
}  # fmt: skip
_FILE_MONITOR = {"path"}
_DEPLOYMENT = {
    "type", "gpus_per_node", "num_train_gpus", "num_infer_gpus", "num_train_nodes", "num_infer_nodes",
    "num_infer_replicas", "nodes_per_fsdp_group", "orchestrator_on_inference",
}  # fmt: skip
KEYS: dict[str, set[str]] = {
    "": {
        "trainer", "orchestrator", "inference", "env_vars", "run", "output_dir", "clean", "log", "ckpt", "resume",
        "monitors", "model", "tokenizer", "max_steps", "seq_len", "weight_broadcast", "rollout_transport",
        "deployment", "slurm", "dry_run",
    },
    "run": {"name", "dir"},
    "model": {"name", "vlm"},
    "ckpt": {"output_dir", "interval", "keep_last", "keep_interval"},
    "resume": {"step", "dir"},
    "monitors": {"wandb", "file", "prime"},
    "monitors.wandb": {"project", "entity", "name", "group", "tags", "offline"},
    "monitors.file": _FILE_MONITOR,
    "weight_broadcast": {"type", "host", "port", "timeout", "quantize_in_weight_transfer", "session_id"},
    "deployment": _DEPLOYMENT,
    "slurm": {
        "job_name", "project_dir", "template_path", "partition", "nodelist", "exclude", "account", "time",
        "pre_run_command", "cleanup_grace_period", "shared_fs",
    },
    "trainer": {
        "model", "tokenizer", "data", "loss", "optim", "scheduler", "ckpt", "resume", "weight_broadcast",
        "rollout_transport", "log", "monitors", "output_dir", "matmul_precision", "max_steps", "enable_router_replay",
        "memory_profiler_path", "gc", "trace_path", "dist_timeout_seconds", "heartbeat", "metrics_server",
        "enable_token_export", "env_vars",
    },
    "trainer.model.lora": {"rank", "alpha", "dropout", "target_modules", "modules_to_save"},
    "orchestrator": {
        "algo", "model", "train", "tokenizer", "renderer", "eval", "log", "env_vars", "monitors",
        "collect_inference_metrics", "inference_metrics_roles", "ckpt", "resume", "weight_broadcast",
        "rollout_transport", "output_dir", "tasks_per_minute", "env_server_base_port", "batch_size",
        "token_batch_size", "concurrency", "group_size", "seq_len", "num_train_workers", "pad_to_multiple_of",
        "max_steps", "max_off_policy_steps", "heartbeat",
    },
    "orchestrator.train": {"source", "sampling", "filter_zero_advantages"},
    "orchestrator.train.sampling": _SAMPLING,
    "orchestrator.train.source": _SOURCE | {"algo", "curriculum"},
    "orchestrator.train.source.sampling": _SAMPLING,
    "orchestrator.train.source.curriculum": {"sampler", "gates"},
    "orchestrator.eval": _EVAL,
    "orchestrator.eval.sampling": _EVAL_SAMPLING,
    "orchestrator.eval.source": _SOURCE | {"num_examples", "interval"},
    "orchestrator.eval.source.sampling": _EVAL_SAMPLING,
}  # fmt: skip
EVALS_KEYS: dict[str, set[str]] = {
    "": {"model", "eval", "online", "weight_broadcast", "output_dir", "log", "monitors"},
    "eval": _EVAL | {"client", "env_server_base_port", "concurrency"},
    "eval.sampling": _EVAL_SAMPLING,
    "eval.source": _SOURCE | {"num_examples", "interval"},
    "eval.source.sampling": _EVAL_SAMPLING,
    "monitors": {"wandb", "file"},
    "monitors.file": _FILE_MONITOR,
}
_BY_KIND: dict[str, dict[str, set[str]]] = {"rl": KEYS, "evals": EVALS_KEYS, "eval": {}}

# What older releases called a key, or what its place is now.
_RENAMED = {
    "orchestrator.rollouts_per_example": "orchestrator.group_size",
    "orchestrator.train.env": "[[orchestrator.train.source]]",
    "orchestrator.eval.env": "[[orchestrator.eval.source]]",
    "orchestrator.env": "[[orchestrator.train.source]]",
    "orchestrator.environment": "[[orchestrator.train.source]]",
    "orchestrator.sampling": "[orchestrator.train.sampling]",
    "orchestrator.train.source.args": "the options in [orchestrator.train.source.env.taskset]",
    "orchestrator.eval.source.args": "the options in [orchestrator.eval.source.env.taskset]",
    "orchestrator.train.source.id": "id in [orchestrator.train.source.env.taskset]",
    "orchestrator.eval.source.id": "id in [orchestrator.eval.source.env.taskset]",
    "orchestrator.train.sampling.max_tokens": "max_completion_tokens",
    "orchestrator.eval.sampling.max_tokens": "max_completion_tokens",
    "eval.sampling.max_tokens": "max_completion_tokens",
    "eval.source.args": "the options in [eval.source.env.taskset]",
    "wandb": "[monitors.wandb]",
}
_NUMBERS = (
    "max_steps", "seq_len", "ckpt.interval", "ckpt.keep_last", "orchestrator.batch_size", "orchestrator.group_size",
    "orchestrator.train.sampling.max_completion_tokens", "orchestrator.eval.sampling.max_completion_tokens",
    "inference.vllm.max_model_len", "inference.vllm.data_parallel_size", "inference.vllm.tensor_parallel_size",
    "deployment.gpus_per_node", "deployment.num_train_gpus", "deployment.num_infer_gpus",
    "deployment.num_train_nodes", "deployment.num_infer_nodes", "deployment.num_infer_replicas",
    "trainer.model.lora.rank",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One line about a configuration: an ``error``, a ``warning`` or a ``fact``, and the key that it is about."""

    level: Literal["error", "warning", "fact"]
    key: str
    text: str

    def __str__(self) -> str:
        head = "" if self.level == "fact" else f"{self.level}: "
        return f"{head}{self.key}: {self.text}" if self.key else f"{head}{self.text}"


@dataclass(frozen=True)
class Questions:
    """How many questions a source asks and how long their prompts are.

    `longest` is in tokens by the estimate of `kgpert_lib.llm.prompts`, which lies above what Qwen3 counts.
    """

    count: int
    longest: int


def measure(source: Mapping[str, Any]) -> Questions:
    """Render every question of a source and measure it; takes seconds, and reads the atlas.

    InputError for settings that the taskset refuses, and where the atlas cannot be had.
    """
    from kgpert_lib.rl.tasks import EditTasks

    lengths = [q.prompt.tokens for q in EditTasks.of(job.task_settings(source)).questions]
    return Questions(len(lengths), max(lengths))


def check(config: Config, questions: Mapping[str, Questions] | None = None) -> list[Finding]:
    """Every finding about a configuration, errors first.

    Parameters
    ----------
    config : merged content of the files (`config.read`).
    questions : what `measure` gives for the sources, by name; without it prompts and epochs are not judged.
    """
    kind = job.kind(config)
    findings = list(_unknown_keys(config, "", _BY_KIND[kind]))
    shapes = list(_shapes(config))
    if shapes:  # nothing else can be judged
        return findings + shapes
    if kind == "rl":
        findings += _training(config)
        findings += _hardware(config)
        findings += _evaluation(config)
        findings += _lengths(config, questions or {})
    findings += _agents(config, kind)
    return sorted(findings, key=lambda f: ("error", "warning", "fact").index(f.level))


def _shapes(config: Config) -> Iterator[Finding]:
    """Tables that are none, and numbers that are none."""
    for where in ("deployment", "inference", "inference.vllm", "trainer", "orchestrator", "monitors", "ckpt", "slurm"):
        value = get(config, where, {})
        if not isinstance(value, Mapping):
            yield Finding("error", where, f"it has to be a table, [{where}], and is {value!r}.")
    for where in ("orchestrator.train.source", "orchestrator.eval.source", "eval.source"):
        value = get(config, where, [])
        if not isinstance(value, list) or not all(isinstance(source, Mapping) for source in value):
            yield Finding("error", where, f"it has to be a list of tables; write [[{where}]], in double brackets.")
    for key in _NUMBERS:
        value = get(config, key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            yield Finding("error", key, f"it has to be a whole number and is {value!r}.")


def _unknown_keys(table: Mapping[str, Any], where: str, keys: Mapping[str, set[str]]) -> Iterator[Finding]:
    known = keys.get(where)
    for key, value in table.items():
        path = f"{where}.{key}".lstrip(".")
        if known is not None and key not in known:
            yield Finding("error", path, f"Prime-RL knows no such key{_instead(path, key, known)}.")
            continue
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping):
                yield from _unknown_keys(inner, path, keys)


def _instead(path: str, key: str, known: set[str]) -> str:
    if path in _RENAMED:
        return f"; write {_RENAMED[path]}"
    close = difflib.get_close_matches(key, sorted(known), n=1)
    return f"; did you mean {close[0]}" if close else ""


def _training(config: Config) -> Iterator[Finding]:
    for name in ("trainer", "orchestrator"):
        if name not in config:
            yield Finding("error", name, f"the table is required, though it may be empty; add [{name}].")
    if not job.sources(config, "train"):
        yield Finding("error", "orchestrator.train.source", "there is no source of questions; add one.")
    batch = get(config, "orchestrator.batch_size", job.BATCH_SIZE)
    for source in job.sources(config, "train"):
        group = job.group_size(config, source)
        if group <= 1:
            yield Finding(
                "error",
                "orchestrator.group_size",
                "with one answer to a question (the default) its reward is its own mean and every advantage is 0; "
                "set it to 8 or more.",
            )
        elif get(config, "orchestrator.token_batch_size") is None and batch % group:
            yield Finding(
                "error", "orchestrator.batch_size", f"{batch} answers cannot be divided into groups of {group}."
            )
        if _completion_limit(config, source, "train") is None:
            yield Finding(
                "error",
                "orchestrator.train.sampling.max_completion_tokens",
                "without a limit an answer may fill the model's whole context; set one.",
            )
    if get(config, "max_steps") is None:
        yield Finding("warning", "max_steps", "it is not set, and the run never ends by itself.")
    if get(config, "ckpt") is None:
        yield Finding("warning", "ckpt", "no checkpoint is written; a run that is stopped starts again. Add [ckpt].")
    elif not get(config, "ckpt.interval"):
        yield Finding("warning", "ckpt.interval", "only the end of the run is kept; set it, so that a run can go on.")
    if "file" in get(config, "monitors", {}) and get(config, "monitors.file") is None:
        yield Finding("warning", "monitors.file", "`kgpert rl watch` has nothing to read without it.")
    if get(config, "monitors.wandb.offline"):
        yield Finding(
            "error",
            "monitors.wandb.offline",
            "Prime-RL refuses it; set offline in [trainer.monitors.wandb] and [orchestrator.monitors.wandb], or leave "
            "wandb off.",
        )
    name = str(get(config, "model.name", ""))
    if (name.startswith((".", "/", "~")) or Path(name).is_dir()) and get(config, "orchestrator.renderer.name") is None:
        yield Finding(
            "error",
            "orchestrator.renderer.name",
            f"the model {name} is a folder, of which Prime-RL cannot tell the chat format; set it, to qwen3 for Qwen3.",
        )


def _hardware(config: Config) -> Iterator[Finding]:
    layout = get(config, "deployment", {})
    broadcast = get(config, "weight_broadcast.type")
    inference, training = job.gpus(config)
    if get(layout, "type") == "multi_node":
        counted = [key for key in ("num_train_gpus", "num_infer_gpus") if key in layout]
        if counted:
            yield Finding(
                "error",
                f"deployment.{counted[0]}",
                "it counts the GPUs of one node and cannot stand with several; leave the overlay for one node out.",
            )
        if get(config, "slurm") is None:
            yield Finding("error", "slurm", "several nodes are started through SLURM only; add [slurm].")
        if "num_train_nodes" not in layout:
            yield Finding("error", "deployment.num_train_nodes", "it is required for several nodes.")
    else:
        each = int(get(layout, "gpus_per_node", job.GPUS_PER_NODE))
        if inference + training > each:
            yield Finding(
                "error",
                "deployment.gpus_per_node",
                f"{inference} GPUs for inference and {training} for training are more than the {each} of the node.",
            )
        counted = [key for key in ("num_train_nodes", "num_infer_nodes") if key in layout]
        if counted:
            yield Finding("error", f"deployment.{counted[0]}", 'it needs type = "multi_node".')
        parallel = int(get(config, "inference.vllm.data_parallel_size", 1))
        copies = parallel * int(get(config, "inference.vllm.tensor_parallel_size", 1))
        if broadcast in (None, "nccl") and get(config, "inference") is not None and copies != inference:
            yield Finding(
                "error",
                "inference.vllm.data_parallel_size",
                f"with NCCL broadcast Prime-RL waits for {copies} inference GPUs and starts {inference}; set it to "
                f"{inference}.",
            )
    lora = get(config, "trainer.model.lora")
    if lora is not None and broadcast not in (None, "filesystem"):
        yield Finding("error", "weight_broadcast.type", f'{broadcast} cannot carry LoRA; set it to "filesystem".')
    if broadcast != "filesystem" and lora is None:
        yield Finding(
            "warning",
            "weight_broadcast.type",
            'NCCL, the default, leaves no weights that can be served (`kgpert rl serve`); set it to "filesystem".',
        )
    if get(config, "inference") is None:
        yield Finding("warning", "inference", "no inference server is started without it; start one yourself.")


def _evaluation(config: Config) -> Iterator[Finding]:
    trained = [get(source, "env.taskset", {}) for source in job.sources(config, "train")]
    for source in job.sources(config, "eval"):
        name = str(get(source, "name", "the source"))
        asked = get(source, "env.taskset", {})
        if _completion_limit(config, source, "eval") is None:
            yield Finding(
                "warning",
                "orchestrator.eval.sampling.max_completion_tokens",
                f"{name} has no limit: an answer may fill the model's whole context.",
            )
        if asked.get("split", "train") == "test":
            yield Finding(
                "warning",
                "orchestrator.eval.source.env.taskset.split",
                f"{name} asks about test perturbations in training, so that their labels are read at every evaluation; "
                'use "validation", and the test split once, at the end.',
            )
        elif asked.get("split", "train") == "train":
            yield Finding(
                "warning",
                "orchestrator.eval.source.env.taskset.split",
                f'{name} asks what is trained on; use "validation".',
            )
        for other in trained:
            yield from _held_out(name, asked, other)


def _held_out(name: str, asked: Mapping[str, Any], trained: Mapping[str, Any]) -> Iterator[Finding]:
    """Validation genes are left out of training only where both sources draw the same ones."""
    for key, default in (("validation", 0.0), ("seed", 0), ("atlas", "perturbqa")):
        mine, theirs = asked.get(key, default), trained.get(key, default)
        if asked.get("split") == "validation" and mine != theirs:
            yield Finding(
                "error",
                f"orchestrator.eval.source.env.taskset.{key}",
                f"{name} has {mine} and training {theirs}; only with the same are its genes left out of training.",
            )
    lines, held = set(asked.get("lines", ())), set(trained.get("evaluated_lines", ()))
    if held and not lines <= held:
        yield Finding(
            "error",
            "orchestrator.train.source.env.taskset.evaluated_lines",
            f"{name} asks about {', '.join(sorted(lines - held))}, whose test genes training may hold; add the line.",
        )


def _agents(config: Config, kind: job.Kind) -> Iterator[Finding]:
    """One answer on a CPU needs neither tools nor a container, but the defaults ask for both."""
    places: list[tuple[str, Mapping[str, Any]]] = [("", config)] if kind == "eval" else []
    if kind == "rl":
        places += [(f"orchestrator.{w}.source.", s) for w in ("train", "eval") for s in job.sources(config, w)]
    if kind == "evals":
        places += [("eval.source.", source) for source in job.sources(config, "eval")]
    for head, source in places:
        taskset = get(source, "env.taskset.id")
        if taskset is None:
            yield Finding("error", f"{head}env.taskset.id", f'the source names no taskset; set it to "{job.TASKSET}".')
            continue
        if taskset != job.TASKSET:
            continue
        for key, wanted in (("harness.id", "null"), ("runtime.type", "subprocess")):
            value = get(source, f"env.agent.{key}")
            if value != wanted:
                what = "the default" if value is None else repr(value)
                yield Finding(
                    "error",
                    f"{head}env.agent.{key}",
                    f'{what} is for agents with tools in containers; set it to "{wanted}".',
                )
        try:
            job.task_settings(source)
        except InputError as error:
            yield Finding("error", f"{head}env.taskset", str(error))


def _lengths(config: Config, questions: Mapping[str, Questions]) -> Iterator[Finding]:
    row = int(get(config, "seq_len", job.SEQ_LEN))
    context = get(config, "inference.vllm.max_model_len")
    for where in ("train", "eval"):
        for source in job.sources(config, where):
            name = str(get(source, "name", get(source, "env.taskset.id", "")))
            answer = _completion_limit(config, source, where)
            if (measured := questions.get(name)) is None or answer is None:
                continue
            whole = measured.longest + answer
            sums = f"the longest prompt has {measured.longest:,} tokens, with an answer {whole:,}"
            if where == "train" and whole > row:
                yield Finding("error", "seq_len", f"of {name} {sums}, above {row:,}: it would be cut; raise it.")
            if context is not None and whole > context:
                yield Finding(
                    "error",
                    "inference.vllm.max_model_len",
                    f"{sums}, above {context:,}: vLLM would refuse it; raise it.",
                )
            yield Finding("fact", "", f"{name}: {measured.count:,} questions; {sums}.")
            if where == "train":
                steps = int(get(config, "max_steps", job.PAPER_STEPS))
                times = job.epochs(config, measured.count)
                yield Finding("fact", "", f"{name}: {steps:,} steps ask each question {times:.1f} times.")


def _completion_limit(config: Config, source: Mapping[str, Any], where: str) -> int | None:
    """Most tokens of an answer: the source's own limit, else that of all sources."""
    shared = get(config, f"orchestrator.{where}.sampling.max_completion_tokens")
    return get(source, "sampling.max_completion_tokens", shared)


def counted(config: Config) -> tuple[dict[str, Questions], list[Finding]]:
    """`measure` of every source of the taskset by name, and a warning for each that cannot be measured here."""
    measured: dict[str, Questions] = {}
    findings: list[Finding] = []
    places: Sequence[Literal["train", "eval"]] = ("train", "eval")
    for source in (source for where in places for source in job.sources(config, where)):
        if get(source, "env.taskset.id") != job.TASKSET:
            continue
        name = str(get(source, "name", job.TASKSET))
        try:
            measured[name] = measure(source)
        except InputError as error:
            findings.append(Finding("warning", "", f"the questions of {name} were not measured: {error}"))
    return measured, findings
