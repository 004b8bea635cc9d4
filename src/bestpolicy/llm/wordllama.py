"""Wordllama: the mean of a table's rows, one row a token; no network, no layers, no download.

    emb = mean_t table[t] on the unit sphere

Read straight from the files in the package: its own loader would fetch what it misses.
Source: the package wordllama, whose table was distilled from the input layers of large models.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from bestpolicy.core.embedder import Points
from bestpolicy.llm import embed

TABLE = "weights/l2_supercat_256.safetensors"
TOKENS = "tokenizers/l2_supercat_tokenizer_config.json"
BATCH = 1024  # texts at once
WAY = "wordllama, mean over tokens, unit norm, format 1"


class Wordllama:
    """The table in this folder."""

    name = "wordllama"

    def __init__(self, folder: Path) -> None:
        table, tokens = folder / TABLE, folder / TOKENS
        if not (table.is_file() and tokens.is_file()):
            raise embed.lacking(self.name, f"there is no {TABLE} in the package")
        self._table: Points = load_file(table)["embedding.weight"].astype(np.float32)
        self._tokenizer = Tokenizer.from_file(str(tokens))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.width = int(self._table.shape[1])
        self.hash = embed.fingerprint(WAY, table, tokens)

    def embed(self, texts: Sequence[str]) -> Points:
        made = np.zeros((len(texts), self.width), dtype=np.float32)
        for part in range(0, len(texts), BATCH):
            some = list(texts[part : part + BATCH])
            said = self._tokenizer.encode_batch(some, add_special_tokens=False)
            for i, tokens in enumerate(said, start=part):
                if tokens.ids:  # of a text of nothing the point is 0
                    made[i] = self._table[tokens.ids].mean(axis=0)
        length = np.linalg.norm(made, axis=1, keepdims=True)
        unit: Points = made / np.maximum(length, np.finfo(np.float32).tiny)
        return unit
