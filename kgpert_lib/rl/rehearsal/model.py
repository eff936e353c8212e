"""The small gene-edit model: a Llama of 2-3 million parameters that names genes by pointing at its question (ours).

Like a served model that is held to a schema, it can only write an answer's frame with candidates in the first list and
neighbours in the second, each once, whether or not a gene was ever trained on; what it learns is which genes, and how
many. The probability of the frame's next word is a linear function of the last hidden state, that of a gene the product
of that state's query with the key of the gene's place in the question; one softmax covers both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import nn
from torch.nn import functional
from transformers import GenerationMixin, LlamaConfig, LlamaModel, PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import CausalLMOutputWithPast

from kgpert_lib.rl.rehearsal.prompts import ASK, CLOSE, FAR, OPEN, UNKNOWN, Words, quoted

PAD, END = "<pad>", "<end>"
NEVER = -1e9  # logit of a word that cannot be next
NAME_RATE = 0.1  # how much a name moves in a step beside other words (`GeneEditModel._embedded`)
HIDDEN, LAYERS, HEADS, INNER = 192, 4, 4, 512


def tokenizer_of(words: Words) -> PreTrainedTokenizerFast:
    """Words set apart by blanks; special ones first, genes last."""
    names = [PAD, END, UNKNOWN, *words.vocabulary]
    model = Tokenizer(WordLevel({word: i for i, word in enumerate(names)}, unk_token=UNKNOWN))
    model.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=model,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


class GeneEditConfig(LlamaConfig):
    """A Llama's configuration with the places of the answer's words in the vocabulary.

    `far` begins the candidates and `ask` ends a question; `frame` and `terms` are the ranges of the words of an
    answer's frame and of GO; genes begin at `first_gene`.
    """

    model_type = "kgpert_gene_edit"
    far: int = 0
    ask: int = 0
    frame: tuple[int, int] = (0, 0)
    terms: tuple[int, int] = (0, 0)
    first_gene: int = 0

    @classmethod
    def of(cls, words: Words, tokenizer: PreTrainedTokenizerFast) -> GeneEditConfig:
        """The configuration for a vocabulary."""
        place = tokenizer.convert_tokens_to_ids
        return cls(
            vocab_size=len(tokenizer),
            hidden_size=HIDDEN,
            intermediate_size=INNER,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            max_position_embeddings=256,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
            far=place(FAR),
            ask=place(ASK),
            frame=(place(OPEN), place(CLOSE) + 1),
            terms=(place(words.terms[0]), place(words.terms[-1]) + 1) if words.terms else (0, 0),
            first_gene=place(quoted(words.genes[0])),
        )


class Pointers(NamedTuple):
    """What an answer can name next: of every place of the question (n, k) the key (n, k, d), the id and the list.

    `lists` are 1 for candidates, 2 for neighbours, and 0 for words that are no genes and genes that were named.
    `written` (n,) are the words of the frame so far: the list that is being written.
    """

    keys: torch.Tensor
    ids: torch.Tensor
    lists: torch.Tensor
    written: torch.Tensor


@dataclass
class EditOutput(CausalLMOutputWithPast):
    """What a step of the model gives; `pointers` hold for the word after it.

    `log_probs` and `entropy` (n, t) of the labels are there where TRL asks for them.
    """

    pointers: Pointers | None = None
    log_probs: torch.Tensor | None = None
    entropy: torch.Tensor | None = None


class GeneEditModel(PreTrainedModel, GenerationMixin):
    """Questions in, edits out."""

    config_class = GeneEditConfig
    base_model_prefix = "body"
    _no_split_modules = ("LlamaDecoderLayer",)

    def __init__(self, config: GeneEditConfig) -> None:
        super().__init__(config)
        self.body = LlamaModel(config)
        self.frame = nn.Linear(config.hidden_size, config.frame[1] - config.frame[0] + 1)
        self.key = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.query = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.kinds = nn.Embedding(3, config.hidden_size, padding_idx=0)  # of words: others, GO terms, genes
        self.post_init()
        with torch.no_grad():
            self.body.embed_tokens.weight[self._kind(torch.arange(config.vocab_size)) > 0] = 0.0

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Any = None,
        position_ids: torch.Tensor | None = None,
        use_cache: bool | None = None,
        labels: torch.Tensor | None = None,
        pointers: Pointers | None = None,
        fused_lm_head: bool = False,
        cache: Any = None,
        **kwargs: Any,
    ) -> EditOutput:
        """Logits (n, t, v) of the next word; with `labels` (n, t), -100 where none is wanted, their mean loss.

        `pointers` come from the step that read the question. `fused_lm_head` is TRL's way to ask for the log
        probability and the entropy of every label in place of the logits.
        """
        output = self.body(
            inputs_embeds=self._embedded(input_ids),
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values if cache is None else cache,  # transformers 5.24 calls it `cache`
            use_cache=use_cache if labels is None else False,
        )
        hidden = output.last_hidden_state
        if labels is None:
            if pointers is None:
                pointers = self._question(hidden, input_ids)
            else:
                pointers = _after(pointers, input_ids, self.config)
            logits = self._logits(hidden[:, -1:], pointers, pointers.lists[:, None, :], pointers.written[:, None])
            return EditOutput(logits=logits, past_key_values=output.past_key_values, pointers=pointers)
        wanted = labels[:, 1:]
        first = int((wanted != -100).any(dim=0).float().argmax())  # questions are padded on the left, so answers align
        pointers = self._question(hidden, input_ids)
        given = input_ids[:, first + 1 : -1]
        named = functional.pad((given[:, :, None] == pointers.ids[:, None, :]).cumsum(dim=1) > 0, (0, 0, 1, 0))
        written = functional.pad(_framed(given, self.config).cumsum(dim=1), (1, 0))
        lists = pointers.lists[:, None, :].masked_fill(named, 0)
        log_p = self._logits(hidden[:, first:-1], pointers, lists, written).log_softmax(dim=-1)
        label_log_p = log_p.gather(-1, wanted[:, first:].clamp(min=0)[..., None])[..., 0]
        mask = wanted[:, first:] != -100
        loss = -(label_log_p * mask).sum() / mask.sum().clamp(min=1)
        if not fused_lm_head:
            return EditOutput(loss=loss)
        entropy = -(log_p.exp() * log_p).sum(dim=-1)
        widths = (first, 0)
        return EditOutput(
            loss=loss,
            log_probs=functional.pad(label_log_p * mask, widths),
            entropy=functional.pad(entropy * mask, widths),
        )

    def _question(self, hidden: torch.Tensor, input_ids: torch.Tensor) -> Pointers:
        """What an answer to a question can name."""
        config = self.config
        far, ended = ((input_ids == word).cumsum(dim=1) > 0 for word in (config.far, config.ask))
        genes = (input_ids >= config.first_gene) & ~ended
        lists = torch.where(far, 1, 2).masked_fill(~genes, 0)
        ids = input_ids.masked_fill(~genes, config.pad_token_id)
        return Pointers(self.key(hidden), ids, lists, torch.zeros_like(input_ids[:, 0]))

    def _kind(self, words: torch.Tensor) -> torch.Tensor:
        """1 for GO terms, 2 for genes, 0 for other words."""
        begin, end = self.config.terms
        return torch.where((words >= begin) & (words < end), 1, 2 * (words >= self.config.first_gene))

    def _embedded(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(n, t, d) embeddings. A name begins as any gene or any GO term, and learns its own difference slowly
        (`NAME_RATE`): what holds for edges of a kind is learnt first, and a name without training reads as nameless.
        """
        kind = self._kind(input_ids)
        own = self.body.embed_tokens(input_ids)
        return torch.where((kind > 0)[..., None], NAME_RATE * own, own) + self.kinds(kind)

    def _logits(
        self, hidden: torch.Tensor, pointers: Pointers, lists: torch.Tensor, written: torch.Tensor
    ) -> torch.Tensor:
        """(n, t, v): the frame's next word by the hidden state, genes of the open list by pointing, all others never.

        `lists` (n, t or 1, k) as in `Pointers` and `written` (n, t), both as they stand before each word.
        """
        config, (size, length, _) = self.config, hidden.shape
        score = self.query(hidden) @ pointers.keys.transpose(1, 2) / hidden.shape[-1] ** 0.5
        score = score.masked_fill((lists != written[..., None]) | (lists == 0), NEVER)
        logits = hidden.new_full((size, length, config.vocab_size), NEVER)
        logits = logits.scatter(-1, pointers.ids[:, None, :].expand_as(score), score)
        begin, end = config.frame
        words = torch.tensor([*range(begin, end), config.eos_token_id])
        place = written.clamp(max=end - begin)[..., None]
        return logits.scatter(-1, words[place], self.frame(hidden).gather(-1, place))

    def _update_model_kwargs_for_generation(
        self, outputs: EditOutput, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """The question is read once; later words point at it."""
        passed = super()._update_model_kwargs_for_generation(outputs, model_kwargs, *args, **kwargs)
        return passed | {"pointers": outputs.pointers}


def _framed(words: torch.Tensor, config: GeneEditConfig) -> torch.Tensor:
    return (words >= config.frame[0]) & (words < config.frame[1])


def _after(pointers: Pointers, word: torch.Tensor, config: GeneEditConfig) -> Pointers:
    """What can be named after one more word (n, 1) of the answer."""
    return pointers._replace(
        lists=pointers.lists.masked_fill(pointers.ids == word, 0),
        written=pointers.written + _framed(word[:, 0], config),
    )
