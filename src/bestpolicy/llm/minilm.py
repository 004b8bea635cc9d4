"""MiniLM: sentences by a transformer of six layers, all-MiniLM-L6-v2.

    emb = mean of the last layer over the text's tokens, at most 256 of them, on the unit sphere

Source: Reimers and Gurevych 2019, "Sentence-BERT".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from bestpolicy.core.embedder import Points
from bestpolicy.core.nouns import ConfigError
from bestpolicy.llm import embed

MOST = 256  # tokens of a text that are read
BATCH = 64  # texts at once
WAY = f"minilm, mean over tokens, unit norm, {MOST} tokens, format 1"


class MiniLM:
    """The weights in this folder."""

    name = "minilm"

    def __init__(self, folder: Path) -> None:
        weights, vocabulary = folder / "model.safetensors", folder / "tokenizer.json"
        if not (weights.is_file() and vocabulary.is_file()):
            raise embed.lacking(self.name, f"there are no weights in {folder}")
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        where: dict[str, Any] = {"local_files_only": True}
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **where)
            self._model: Any = AutoModel.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, **where
            ).eval()
        except Exception as error:
            first = str(error).partition("\n")[0]
            raise ConfigError(f"cannot load the embedder in {folder}: {first}") from error
        self.width = int(self._model.config.hidden_size)
        self.hash = embed.fingerprint(WAY, weights, vocabulary)

    def embed(self, texts: Sequence[str]) -> Points:
        made = np.empty((len(texts), self.width), dtype=np.float32)
        # Texts of a length go together, so that little is padded.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for part in range(0, len(order), BATCH):
            some = order[part : part + BATCH]
            made[some] = self._batch([texts[i] for i in some])
        return made

    def _batch(self, texts: list[str]) -> Points:
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=MOST, return_tensors="pt"
        )
        with torch.inference_mode():
            last = self._model(**tokens).last_hidden_state
            mask = tokens["attention_mask"][..., None].to(last.dtype)
            mean = (last * mask).sum(1) / mask.sum(1)
            unit: Points = torch.nn.functional.normalize(mean, dim=1).numpy()
        return unit
