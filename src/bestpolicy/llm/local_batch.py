"""A batch of answers being written: every step adds one token to each of them.

    p = softmax(logits / temperature),   next token = the first v with Σ_{w ≤ v} p_w > u

Each answer has its own uniforms u, so what it draws does not depend on who else is in the batch.
Keys and values of all answers end at the same column: shorter ones have empty columns on the left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicLayer

from bestpolicy.core.nouns import Rng
from bestpolicy.llm.local_prefix import Prefixes, Tokens

SPARE = 32  # columns by which the room for keys and values grows
FEW = 64  # rows up to which the weights go on the left of a product
UNEVEN = 1.5  # prompts read together differ in length by this factor and
SLACK = 8  # this many tokens at most

KeysValues = list[tuple[Tensor, Tensor]]  # per layer, (rows, heads, columns, size) each


@dataclass(slots=True, eq=False)
class Row:
    """One answer: what was asked, what is written so far, and how to go on."""

    prompt: Tokens
    temperature: float
    limit: int
    rng: Rng
    written: list[int] = field(default_factory=list)
    done: bool = False

    @property
    def length(self) -> int:
        """Tokens whose keys and values are known: all but the last."""
        return len(self.prompt) + len(self.written) - 1


def one_thread() -> None:
    """From now on models in this process compute with one thread, and the same numbers always."""
    torch.set_num_threads(1)


class Batch:
    """The answers that are being written, and what the model remembers of each."""

    def __init__(self, model: Any, ends: frozenset[int]) -> None:
        self._model = model
        self._ends = ends
        self._rows: list[Row] = []
        self._cache: Any = None  # a Cache of _Roomy layers
        self._prefixes: Prefixes[KeysValues] = Prefixes()
        _turn(model)

    @property
    def rows(self) -> list[Row]:
        """Answers that are not done."""
        return [row for row in self._rows if not row.done]

    def clear(self) -> None:
        """Forget all answers."""
        self._rows, self._cache = [], None

    @torch.inference_mode()
    def admit(self, rows: Sequence[Row]) -> None:
        """Read these prompts and write the first token of their answers."""
        # A prompt that is alone is always read in one piece, so its text is always the same.
        if self.rows or len(rows) > 1:
            self.learn([row.prompt for row in rows])
            starts = [self._prefixes.longest(row.prompt) for row in rows]
        else:
            starts = [()] * len(rows)
        for group in _even([len(r.prompt) - len(s) for r, s in zip(rows, starts, strict=True)]):
            some = [rows[i] for i in group]
            logits, cache = self._read([r.prompt for r in some], [starts[i] for i in group], 1)
            self._merge(some, cache)
            self._write(some, logits[:, -1])
        self._compact()

    @torch.inference_mode()
    def step(self) -> None:
        """Write one more token of every answer."""
        width = self._cache.get_seq_length()
        lengths = torch.tensor([row.length for row in self._rows])
        logits = self._model(
            input_ids=torch.tensor([row.written[-1:] for row in self._rows]),
            attention_mask=(torch.arange(width + 1) >= width - lengths[:, None]).long(),
            position_ids=lengths[:, None],
            past_key_values=self._cache,
            use_cache=True,
        ).logits[:, -1]
        self._write(self._rows, logits)
        self._compact()

    @torch.inference_mode()
    def weigh(self, prompt: Tokens, choices: Sequence[Tokens], *, alone: bool) -> list[float]:
        """The log-probability of each of these continuations of the prompt."""
        if not alone:
            self.learn([prompt])
        start = () if alone else self._prefixes.longest(prompt)
        # The last token of a choice is foretold and never read.
        texts = list(dict.fromkeys(prompt + choice[:-1] for choice in choices))
        logits, _ = self._read(texts, [start] * len(texts), max(map(len, choices)))
        chances = logits.double().log_softmax(-1)
        found = []
        for choice in choices:
            row = chances[texts.index(prompt + choice[:-1]), -len(choice) :]
            found.append(float(row[torch.arange(len(choice)), list(choice)].sum()))
        return found

    def learn(self, prompts: Sequence[Tokens]) -> None:
        """Compute the beginnings that these prompts share with each other and with those before."""
        for tokens in self._prefixes.worth(prompts):
            _, cache = self._read([tokens], [self._prefixes.longest(tokens)], 1)
            kept = [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]
            self._prefixes.keep(tokens, kept)

    def _read(
        self, texts: Sequence[Tokens], starts: Sequence[Tokens], keep: int
    ) -> tuple[Tensor, Any]:
        """Logits at the last `keep` tokens, and the keys and values of all."""
        lengths = torch.tensor([len(text) for text in texts])
        width = int(lengths.max())
        # All rows read as many tokens, so the one with most to read decides for all.
        read = max(keep, *(len(t) - len(s) for t, s in zip(texts, starts, strict=True)))
        read = min(read, width)
        known = width - read
        cache: Any = Cache(layer_class_to_replicate=_Roomy)
        if known:
            kept = [self._prefixes.use(start) for start in starts]
            for i, (keys, values) in enumerate(_stacked(kept, lengths - read, known)):
                cache.update(keys, values, i)
        columns = torch.arange(width)
        empty = width - lengths[:, None]
        ids = torch.zeros(len(texts), read, dtype=torch.long)
        for row, text in zip(ids, texts, strict=True):
            last = text[-read:]
            row[read - len(last) :] = torch.tensor(last)
        logits = self._model(
            input_ids=ids,
            attention_mask=(columns >= empty).long(),
            position_ids=(columns[known:] - empty).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=keep,
        ).logits
        return logits, cache

    def _write(self, rows: Sequence[Row], logits: Tensor) -> None:
        for row, token in zip(rows, _drawn(rows, logits), strict=True):
            if not row.done:
                row.written.append(token)
                row.done = token in self._ends or len(row.written) >= row.limit

    def _merge(self, rows: Sequence[Row], cache: Any) -> None:
        """Let these rows join, in a cache that is as wide as its longest row."""
        if self._cache is None:
            self._rows, self._cache = list(rows), cache
            return
        self._keep([i for i, row in enumerate(self._rows) if not row.done])
        width = max([row.length for row in self._rows] + [cache.get_seq_length()])
        for mine, theirs in zip(self._cache.layers, cache.layers, strict=True):
            mine.put(
                _below(mine.keys, theirs.keys, width), _below(mine.values, theirs.values, width)
            )
        self._rows += rows

    def _compact(self) -> None:
        """Let done rows go when they are a quarter of all: fewer are not worth the copying."""
        alive = [i for i, row in enumerate(self._rows) if not row.done]
        if not alive:
            self.clear()
        elif len(alive) <= 0.75 * len(self._rows):
            self._keep(alive)

    def _keep(self, alive: Sequence[int]) -> None:
        which = torch.tensor(alive, dtype=torch.long)
        self._rows = [self._rows[i] for i in alive]
        for layer in self._cache.layers:
            layer.put(layer.keys[which], layer.values[which])


class _Roomy(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values with room to grow: a step writes its own column and copies no other."""

    keys: Tensor
    values: Tensor
    _room: tuple[Tensor, Tensor]

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        new = (key_states, value_states)
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.put(*(part[..., :0, :] for part in new))
        width = self.keys.shape[-2]
        wide = width + key_states.shape[-2]
        if self._room[0].shape[-2] < wide:
            self._room = (_wider(self.keys, wide + SPARE), _wider(self.values, wide + SPARE))
        for room, part in zip(self._room, new, strict=True):
            room[..., width:wide, :] = part
        self.keys, self.values = (room[..., :wide, :] for room in self._room)
        return self.keys, self.values

    def put(self, keys: Tensor, values: Tensor) -> None:
        """Hold these from now on."""
        self.keys, self.values = self._room = (keys, values)


class _Turned(nn.Module):
    """x Wᵀ computed as (W xᵀ)ᵀ where x has few rows: a third faster on processors."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = linear.weight
        self.bias: nn.Parameter | None = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) > FEW:
            return nn.functional.linear(x, self.weight, self.bias)
        y = torch.mm(self.weight, rows.t()).t().reshape(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias


def _turn(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) is nn.Linear:
            setattr(module, name, _Turned(child))
        else:
            _turn(child)


def _drawn(rows: Sequence[Row], logits: Tensor) -> list[int]:
    tokens: list[int] = logits.argmax(-1).tolist()
    drawing = [i for i, row in enumerate(rows) if row.temperature > 0 and not row.done]
    if drawing:
        heat = torch.tensor([rows[i].temperature for i in drawing], dtype=torch.float64)
        p = (logits[drawing].double() / heat[:, None]).softmax(-1)
        u = torch.tensor([rows[i].rng.random() for i in drawing], dtype=torch.float64)
        cdf = p.cumsum(-1)
        found = torch.searchsorted(cdf, (u * cdf[:, -1])[:, None], right=True)[:, 0]
        for i, token in zip(drawing, found.clamp(max=logits.shape[-1] - 1).tolist(), strict=True):
            tokens[i] = token
    return tokens


def _wider(columns: Tensor, wide: int) -> Tensor:
    """These columns, with empty ones behind them."""
    room = columns.new_zeros(*columns.shape[:-2], wide, columns.shape[-1])
    room[..., : columns.shape[-2], :] = columns
    return room


def _below(mine: Tensor, theirs: Tensor, width: int) -> Tensor:
    """Both, one below the other, with their last columns in line."""
    (a, heads, _, size), b = mine.shape, theirs.shape[0]
    both = mine.new_zeros(a + b, heads, width, size)
    for part, rows in ((mine, slice(0, a)), (theirs, slice(a, a + b))):
        wide = min(width, part.shape[-2])
        both[rows, :, width - wide :] = part[..., part.shape[-2] - wide :, :]
    return both


def _stacked(
    kept: Sequence[KeysValues | None], lengths: Tensor, width: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Per layer the first `lengths` columns of each row, with their last columns in line."""
    (some, *_) = [kv for kv in kept if kv is not None]
    for layer, (keys, values) in enumerate(some):
        pair = []
        for which, like in enumerate((keys, values)):
            stack = like.new_zeros(len(kept), like.shape[1], width, like.shape[3])
            for row, kv, n in zip(stack, kept, lengths.tolist(), strict=True):
                if kv is not None and n > 0:
                    row[:, width - n :] = kv[layer][which][0, :, :n]
            pair.append(stack)
        yield pair[0], pair[1]


def _even(lengths: Sequence[int]) -> list[list[int]]:
    """Groups of rows that are about as long, by number."""
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if groups and lengths[i] <= UNEVEN * lengths[groups[-1][0]] + SLACK:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups
