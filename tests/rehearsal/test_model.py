"""The gene-edit model with random weights: what it can write, and that TRL is given the probabilities of its words."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpert_lib.rl.rehearsal import prompts
from kgpert_lib.rl.rehearsal.model import GeneEditConfig, GeneEditModel, tokenizer_of
from kgpert_lib.rl.rehearsal.prompts import Words, quoted

GENES = tuple(f"GENE{i}" for i in range(12))
WORDS = Words({"go": (0.3, 0.6), "string": (0.4, 0.8)}, GENES, ("GO:1", "GO:2"), ("k562", "rpe1"))
TOKENS = tokenizer_of(WORDS)


def question(near, far, terms=()):
    words = ["k562", "size1", *terms, prompts.NEAR]
    words += [word for gene in near for word in ("n10-120", quoted(gene))]
    words += [prompts.FAR, *(word for gene in far for word in ("c-031", quoted(gene))), prompts.ASK]
    return " ".join(words)


def model(seed):
    """Small, with weights large enough that words differ much in probability."""
    torch.manual_seed(seed)
    config = GeneEditConfig.of(WORDS, TOKENS)
    config.update({"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "initializer_range": 0.5})
    config.head_dim = 32 // config.num_attention_heads
    return GeneEditModel(config).eval()


def batch(texts):
    return TOKENS(texts, padding=True, return_tensors="pt", return_token_type_ids=False)


def answers(net, texts, draws=8):
    encoded = batch(texts)
    written = net.generate(**encoded, do_sample=True, top_k=0, max_new_tokens=40, num_return_sequences=draws)
    return TOKENS.batch_decode(written[:, encoded.input_ids.shape[1] :], skip_special_tokens=True)


def test_every_word_of_a_question_and_its_answer_has_a_token():
    text = question(GENES[:3], GENES[3:5], ["GO:2"]) + " " + prompts.answer(GENES[3:4], GENES[:1])
    assert TOKENS.unk_token_id not in TOKENS(text).input_ids
    assert TOKENS.decode(TOKENS(text).input_ids) == text


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), shown=st.permutations(GENES), near=st.integers(0, 5), far=st.integers(0, 5))
def test_an_answer_names_genes_of_its_question_each_once_and_in_its_list(seed, shown, near, far):
    inside, outside = shown[:near], shown[near : near + far]
    for text in answers(model(seed), [question(inside, outside), question(outside, inside)])[:8]:
        whole = re.fullmatch(r'\{"add":\[ ?(.*?) ?\],"remove":\[ ?(.*?) ?\]\}', text)
        added, removed = (re.findall(r'"(\w+)",', part) for part in whole.groups())
        assert prompts.answer(added, removed) == text
        assert len({*added, *removed}) == len(added) + len(removed)
        assert set(added) <= set(outside)
        assert set(removed) <= set(inside)


def test_a_gene_that_was_never_trained_on_can_be_named():
    net = model(0).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    encoded = batch([question(GENES[:2], GENES[2:4]) + " " + prompts.answer(GENES[2:3], GENES[:1])])
    labels = encoded.input_ids.clone()
    labels[:, : labels[0].tolist().index(TOKENS.convert_tokens_to_ids(prompts.ASK)) + 1] = -100
    for _ in range(5):
        optimiser.zero_grad()
        net(**encoded, labels=labels).loss.backward()
        optimiser.step()
    unseen = GENES[6:]
    named = "".join(answers(net.eval(), [question(unseen[:3], unseen[3:])], draws=200))
    assert {gene for gene in unseen if quoted(gene) in named} == set(unseen)


def test_answers_are_drawn_with_the_probabilities_that_trl_is_given():
    net = model(2)
    asked = batch([question(GENES[:4], GENES[4:9], ["GO:1"]), question(GENES[5:6], GENES[:2])])
    torch.manual_seed(0)
    kept = {"return_dict_in_generate": True, "output_logits": True}
    out = net.generate(**asked, do_sample=True, top_k=0, max_new_tokens=20, **kept)
    begin = asked.input_ids.shape[1]
    words = out.sequences[:, begin:]
    mask = words != TOKENS.pad_token_id
    whole = torch.cat([asked.attention_mask, mask.long()], dim=1)
    labels = out.sequences.masked_fill(whole == 0, -100)
    labels[:, :begin] = -100
    with torch.no_grad():
        scored = net(out.sequences, attention_mask=whole, labels=labels, fused_lm_head=True).log_probs
    drawn = torch.stack(out.logits, dim=1).log_softmax(dim=-1).gather(-1, words[..., None])[..., 0]
    assert mask.sum(dim=1).min() >= 4
    torch.testing.assert_close(scored[:, -words.shape[1] :][mask], drawn[mask], atol=1e-4, rtol=1e-4)


def test_log_probabilities_for_trl_are_those_of_every_word_as_it_is_written():
    net = model(1)
    texts = [question(GENES[:4], GENES[4:9], ["GO:1"]), question(GENES[5:6], GENES[:2])]
    given = [prompts.answer([GENES[6], GENES[4]], [GENES[3]]), prompts.answer([], [GENES[5]])]
    asked = batch(texts)
    rows = [[*TOKENS(text).input_ids, TOKENS.eos_token_id] for text in given]
    longest = max(map(len, rows))
    words = torch.tensor([row + [TOKENS.pad_token_id] * (longest - len(row)) for row in rows])
    mask = words != TOKENS.pad_token_id
    whole = torch.cat([asked.attention_mask, mask.long()], dim=1)
    ids = torch.cat([asked.input_ids, words], dim=1)
    labels = ids.masked_fill(whole == 0, -100)
    labels[:, :-longest] = -100
    with torch.no_grad():
        scored = net(ids, attention_mask=whole, labels=labels, fused_lm_head=True)
        out = net(asked.input_ids, attention_mask=asked.attention_mask, use_cache=True)
        for place in range(longest):
            log_p = out.logits[:, -1].log_softmax(dim=-1)
            live = mask[:, place]
            expected = log_p.gather(-1, words[:, place, None])[:, 0]
            entropy = -(log_p.exp() * log_p).sum(dim=-1)
            torch.testing.assert_close(scored.log_probs[live, place - longest], expected[live], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(scored.entropy[live, place - longest], entropy[live], atol=1e-4, rtol=1e-4)
            out = net(
                words[:, place, None],
                attention_mask=whole[:, : asked.input_ids.shape[1] + place + 1],
                past_key_values=out.past_key_values,
                use_cache=True,
                pointers=out.pointers,
            )
    assert (scored.log_probs[:, -longest:][~mask] == 0).all()
    total = scored.log_probs.sum().item()
    assert scored.loss.item() == pytest.approx(-total / mask.sum().item(), rel=1e-4)
