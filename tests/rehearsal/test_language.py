"""The bundled language model on the same path: base answers, a warm start of two edits, a step of GRPO."""

from safetensors.torch import load_file

from kgpert_lib.rl.rehearsal.evaluate import evaluated_again
from kgpert_lib.rl.rehearsal.pretrained import smollm2
from kgpert_lib.rl.rehearsal.run import new_policy, rehearse
from kgpert_lib.rl.tasks import EditTasks


def test_smollm2_is_warmed_up_trained_answered_and_recorded(tiny, tmp_path):
    config = tiny(
        policy="smollm2", steps=1, questions=1, rollouts=2, asked=1, max_tokens=8, warm={"most": 2, "batch": 2}
    )
    run = rehearse(config, tmp_path / "tiny")
    assert len(run.steps()) == 1
    assert {"base", "warm", "trained"} <= set(run.stages)
    assert [a.line for a in run.answers("trained").answers] == ["k562", "rpe1"]
    assert all(0 < a.tokens <= 8 for a in run.answers("base").answers)
    recorded = load_file(run.weights)
    assert all("lora_" in name for name in recorded)
    assert any(value.any() for name, value in recorded.items() if "lora_B" in name)  # zero before any training
    assert run.weights.stat().st_size < 12e6
    assert evaluated_again(run).largest <= 1e-6


def test_the_unpacked_model_is_made_once_and_asked_through_its_chat_template(tiny):
    folder = smollm2()
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert smollm2() == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    config = tiny(policy="smollm2")
    policy, tasks = new_policy(config), EditTasks.of(config.settings)
    line, gene = tasks.stream[0]
    prompt = policy.prompts(tasks.lines[line])[gene]
    assert prompt.text.startswith("<|im_start|>system\n")
    assert prompt.text.endswith("<|im_start|>assistant\n")
    assert f"belong in the set of {gene}" in prompt.text
    assert len(policy.tokenizer(prompt.text).input_ids) <= config.settings.room
