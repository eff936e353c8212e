"""Greedy answers of a policy to questions, the same on every machine.

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

BATCH = 64


def answers(policy: Policy, tasks: EditTasks, max_tokens: int, model: str, asked: int | None = None) -> ScoredAnswers:
    """One greedy answer to every question of `tasks`, or to `asked` questions of each line by `sample_genes`."""
    recorded = _as_recorded(policy)
    given = []
    for name, line in tasks.lines.items():
        questions = policy.prompts(line)
        genes = list(questions) if asked is None else sample_genes(questions, asked, tasks.settings.seed)
        texts = dict(_texts(policy, recorded, {gene: questions[gene].text for gene in genes}, max_tokens))
        verdicts = line.judge([(gene, texts[gene][0]) for gene in genes])
        given += [
            ScoredAnswer(name, gene, texts[gene][0], dict(verdict.weighted), model, texts[gene][1])
            for gene, verdict in zip(genes, verdicts, strict=True)
        ]
    return ScoredAnswers(tasks.settings, tuple(given))


def _as_recorded(policy: Policy) -> torch.nn.Module:
    """A copy of the model with the weights that a run records."""
    model = copy.deepcopy(policy.model)
    model.load_state_dict({name: value.float() for name, value in policy.weights().items()}, strict=False)
    return model.to(policy.precision).eval()


def _texts(
    policy: Policy, model: torch.nn.Module, questions: dict[str, str], max_tokens: int
) -> Iterator[tuple[str, tuple[str, int]]]:
    """Text and number of tokens of the answer to every question, by gene."""
    tokenizer = policy.tokenizer
    by_length: defaultdict[int, list[tuple[str, list[int]]]] = defaultdict(list)
    for gene, text in questions.items():
        ids = tokenizer(text).input_ids
        by_length[len(ids)].append((gene, ids))
    for length, rows in sorted(by_length.items()):
        for start in range(0, len(rows), BATCH):
            genes, ids = zip(*rows[start : start + BATCH], strict=True)
            with torch.no_grad():
                written = model.generate(
                    input_ids=torch.tensor(ids),
                    attention_mask=torch.ones(len(ids), length, dtype=torch.long),
                    max_new_tokens=max_tokens,
                    do_sample=False,
                    pad_token_id=tokenizer.pad_token_id,
                )[:, length:]
            for gene, row in zip(genes, written, strict=True):
                tokens = int((row != tokenizer.pad_token_id).sum())
                yield gene, (tokenizer.decode(row, skip_special_tokens=True), tokens)
