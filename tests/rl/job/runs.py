"""Folders of runs as Prime-RL writes them: metrics, broadcast weights, checkpoints, resolved configurations."""

import json
from pathlib import Path

import numpy as np

LAYERS = 2
MODULES = ("self_attn.q_proj", "mlp.up_proj")
TENSORS = ["model.embed_tokens.weight", *(f"model.layers.{k}.{m}.weight" for k in range(LAYERS) for m in MODULES)]


def safetensors(path, names, seed=0):
    """A file in the format of safetensors: length of the header, header, data."""
    rng = np.random.default_rng(seed)
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name in names:
        values = rng.normal(size=(2, 3)).astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": [2, 3], "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def shards(folder, names):
    """Two files and their index."""
    half = len(names) // 2
    parts = {"model-00001-of-00002.safetensors": names[:half], "model-00002-of-00002.safetensors": names[half:]}
    for file, inside in parts.items():
        safetensors(folder / file, inside)
    listed = {name: file for file, inside in parts.items() for name in inside}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": listed}))


def base_model(folder, names=tuple(TENSORS), tied=True):
    """A base model with its tokenizer; weights in shards."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3", "tie_word_embeddings": tied}))
    (folder / "generation_config.json").write_text(json.dumps({"temperature": 0.7}))
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        (folder / name).write_text("{}")
    (folder / "README.md").write_text("not needed to serve")
    shards(folder, list(names))
    return folder


def broadcast(run, step, names=tuple(TENSORS), stable=True):
    """Weights of a step, whole unless `stable` is False."""
    folder = run / "broadcasts" / f"step_{step}"
    folder.mkdir(parents=True)
    shards(folder, list(names))
    if stable:
        (folder / "STABLE").touch()
    return folder


def adapter(run, step, rank=16):
    """An adapter of a step, with its configuration."""
    folder = run / "broadcasts" / f"step_{step}"
    folder.mkdir(parents=True)
    names = [f"model.layers.{k}.{m}.lora_{x}.weight" for k in range(LAYERS) for m in MODULES for x in "AB"]
    safetensors(folder / "adapter_model.safetensors", names)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank, "lora_alpha": 32}))
    (folder / "STABLE").touch()
    return folder


def resolved(run, base):
    """The resolved configurations that `serve` reads."""
    (run / "configs").mkdir(parents=True)
    (run / "configs" / "trainer.json").write_text(json.dumps({"model": {"name": str(base)}}))
    (run / "configs" / "inference.json").write_text(json.dumps({"vllm": {"max_model_len": 3072}}))


def trained(run, settings, **orchestrator):
    """The resolved configurations of a training run, with the options of Verifiers and what is not set as null."""
    options = {"task": {"judges": [], "stops": {}, "metrics": {}, "rewards": {}}, "system_prompt": None, "id": "kgpert"}
    taskset = settings.model_dump(mode="json") | options
    sampling = {"temperature": 1.0, "max_completion_tokens": 1024, "extra_body": {}}
    source = {"env": {"taskset": taskset, "id": ""}, "name": "kgpert", "sampling": sampling, "group_size": 8}
    resolved = {
        "train": {"source": [source], "sampling": sampling}, "batch_size": 128, "token_batch_size": None,
        "group_size": 8, "max_steps": 1500, "eval": None,
    }  # fmt: skip
    trainer = {"model": {"name": "Qwen/Qwen3-4B-Instruct-2507"}, "optim": {"lr": 1e-6, "type": "adamw"}}
    (run / "configs").mkdir(parents=True)
    (run / "configs" / "orchestrator.json").write_text(json.dumps(resolved | orchestrator))
    (run / "configs" / "trainer.json").write_text(json.dumps(trainer))


def checkpoint(run, step, whole=True):
    """The checkpoint of a step; the trainer's last file is missing unless it is whole."""
    folder = Path(run) / "checkpoints" / f"step_{step}"
    (folder / "trainer").mkdir(parents=True)
    (folder / "orchestrator").mkdir()
    (folder / "orchestrator" / "progress.pt").touch()
    if whole:
        (folder / "trainer" / ".metadata").touch()


def step_rows(step, reward, gap, tokens, seconds=30.0):
    """What trainer and orchestrator write at the end of a step."""
    agent = "train/agg/all/agent"
    orchestrator = {
        "step": step, "time": 1e9 + step,
        f"{agent}/reward/mean": reward, f"{agent}/reward/max": 1.0,
        f"{agent}/rewards/format/mean": 1 / 3, f"{agent}/rewards/validity/mean": 0.25,
        f"{agent}/rewards/pearson/mean": reward - 1 / 3 - 0.25,
        f"{agent}/metrics/gap/mean": gap, f"{agent}/metrics/size/mean": 17.0,
        f"{agent}/metrics/format/mean": 1.0, f"{agent}/metrics/validity/mean": 0.75,
        f"{agent}/metrics/pearson/mean": reward - 0.5, f"{agent}/metrics/added/mean": 1.5,
        f"{agent}/metrics/removed/mean": 2.5,
        f"{agent}/is_truncated/mean": 0.01,
        "train/agg/all/num_output_tokens/mean": tokens, "train/agg/all/num_output_tokens/max": 1024.0,
        "train/agg/effective/agent/reward/mean": -9.0, "train/kgpert/all/agent/reward/mean": -9.0,
        "time/step": seconds, "progress/tokens": 1,
    }  # fmt: skip
    trainer = {
        "step": step, "time": 1e9 + step, "optim/lr": 1e-6, "optim/grad_norm": 0.5, "loss/mean": 0.1,
        "entropy/all/mean": 0.2, "entropy/kgpert/mean": -9.0,
    }  # fmt: skip
    return [orchestrator, trainer]


def held_out_row(step, reward, gap):
    """What the orchestrator writes after an evaluation."""
    agent = "eval/kgpert-validation/all/agent"
    return {"step": step, "time": 1e9, f"{agent}/reward/mean": reward, f"{agent}/metrics/gap/mean": gap}


def write(run, rows, end="\n"):
    """Add rows to the metrics of a run."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / "metrics.jsonl").open("a") as file:
        file.write("\n".join(map(json.dumps, rows)) + end)
