"""Writes replies.jsonl, what a shop's two prompts said and whether it was clicked, and bank.jsonl,
six more sentences of each prompt for each query.

    python make.py [FOLDER]

People click on warmth: `kind` is mostly warm, `short` seldom.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROWS, DRAWS, SEED = 4000, 6, 4
QUERIES = ("red shoes", "a blue hat", "a green coat", "wool socks")
WARM = ("You will love {}", "We picked {} with care for you", "What a lovely choice: {}")
COLD = ("{}: in stock", "{}, ships today", "Order {} now")
CHANCES = {"kind": 0.6, "short": 0.4}  # of the prompts, as logged
WARMTH = {"kind": 0.8, "short": 0.2}  # how often a prompt speaks warmly
CLICKS = {True: 0.40, False: 0.10}


def said(prompt: str, query: str, rng: np.random.Generator) -> tuple[str, bool]:
    """A sentence, and whether it is warm."""
    warm = bool(rng.random() < WARMTH[prompt])
    return str(rng.choice(WARM if warm else COLD)).format(query), warm


def main(folder: Path) -> None:
    """Draw the log and the bank."""
    rng, log, bank = np.random.default_rng(SEED), [], []
    for _ in range(ROWS):
        query = str(rng.choice(QUERIES))
        prompt = str(rng.choice(list(CHANCES), p=list(CHANCES.values())))
        sentence, warm = said(prompt, query, rng)
        row: dict[str, Any] = {"query_id": query, "prompt_id": prompt, "p": CHANCES[prompt]}
        row |= {"ps": CHANCES, "sentence": sentence, "click": int(rng.random() < CLICKS[warm])}
        log.append(row)
    for query in QUERIES:
        for prompt in CHANCES:
            for draw in range(DRAWS):
                text, _ = said(prompt, query, rng)
                bank.append({"query_id": query, "prompt_id": prompt, "draw": draw, "text": text})
    for name, rows in (("replies", log), ("bank", bank)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
