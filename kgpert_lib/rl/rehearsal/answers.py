"""Answers of a policy to questions, greedy or drawn, the same on every machine.

The trained weights are rounded to float16, as a run records them, and the model computes with the policy's precision,
in batches of questions of one length. In float64 neither the number of threads nor the other questions of a batch
decide between two words; in float32 they may, where two words are as good as equally probable.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator

import torch

from kgpert_lib.llm.questions import sample_genes
from kgpert_lib.rl.rehearsal.policies import Policy
from kgpert_lib.rl.tasks import EditTasks
from kgpert_lib.rl.traces import ScoredAnswer, ScoredAnswers


def answers(
    policy: Policy,
    tasks: EditTasks,
    max_tokens: int,
    model: str,
    asked: int | None = None,
    draws: int | None = None,
    seed: int = 0,
) -> ScoredAnswers:
    """One greedy answer to every question of `tasks`, or to `asked` questions of each line by `sample_genes`.

    With `draws` so many answers to each question, drawn at temperature 1 with `seed`; those to one question stand
    together.
    """
    frozen = _as_recorded(policy)
    given: list[ScoredAnswer] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, line in tasks.lines.items():
            questions = policy.prompts(line)
            genes = list(questions) if asked is None else sample_genes(questions, asked, tasks.settings.seed)
            texts = dict(_texts(policy, frozen, {gene: questions[gene].text for gene in genes}, max_tokens, draws))
            rows = [(gene, text, tokens) for gene in genes for text, tokens in texts[gene]]
            verdicts = line.judge([(gene, text) for gene, text, _ in rows])
            given += [
                ScoredAnswer(name, gene, text, dict(verdict.weighted), model, tokens)
                for (gene, text, tokens), verdict in zip(rows, verdicts, strict=True)
            ]
    return ScoredAnswers(tasks.settings, tuple(given))


def _as_recorded(policy: Policy) -> torch.nn.Module:
    """A copy of the model with the weights that a run records."""
    model = copy.deepcopy(policy.model)
    for module in model.modules():
        vars(module).pop("forward", None)  # TRL's replacement in a copy still computes with the original's weights
    model.load_state_dict({name: value.float() for name, value in policy.weights().items()}, strict=False)
    return model.to(policy.compute.precision).eval()


def _texts(
    policy: Policy, model: torch.nn.Module, questions: dict[str, str], max_tokens: int, draws: int | None
) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """Text and number of tokens of every answer to every question, by gene."""
    tokenizer, each, batch = policy.tokenizer, draws or 1, policy.compute.asked
    by_length: defaultdict[int, list[tuple[str, list[int]]]] = defaultdict(list)
    for gene, text in questions.items():
        ids = tokenizer(text).input_ids
        by_length[len(ids)].append((gene, ids))
    for length, rows in sorted(by_length.items()):
        for start in range(0, len(rows), batch):
            genes, ids = zip(*rows[start : start + batch], strict=True)
            with torch.no_grad():
                written = model.generate(
                    input_ids=torch.tensor(ids),
                    attention_mask=torch.ones(len(ids), length, dtype=torch.long),
                    max_new_tokens=max_tokens,
                    do_sample=draws is not None,
                    top_k=0,
                    num_return_sequences=each,
                    pad_token_id=tokenizer.pad_token_id,
                )[:, length:]
            texts = [
                (tokenizer.decode(row, skip_special_tokens=True), int((row != tokenizer.pad_token_id).sum()))
                for row in written
            ]
            for place, gene in enumerate(genes):
                yield gene, texts[place * each : (place + 1) * each]
