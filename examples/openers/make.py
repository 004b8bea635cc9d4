"""Writes two weeks of a bookshop's log, week1.jsonl and week2.jsonl, and bank.jsonl, four sentences
of each of its twelve prompts about each kind of book.

    python make.py [FOLDER]

Each prompt mixes two of five tones. Who is new likes warmth, regulars like to be told something,
students like to save; the log does not say so. Prompts were drawn with nearly equal chances.
"""

from __future__ import annotations

import json
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

ROWS, DRAWS, SEED = 3000, 4, 7
KINDS = ("a crime novel", "a cookbook", "poetry", "a travel guide", "science", "a picture book")
VISITORS = ("new", "regular", "student")
TONES = {
    "warm": ("How lovely that you are here! {} for you", "Welcome, we saved {} for you"),
    "brisk": ("{}: in stock, ships today", "Order {} now"),
    "playful": ("Psst! {} asked for you by name", "Roll the dice: {} wins!"),
    "expert": ("Critics say: the finest of {} in years", "Our editors' first choice of {}"),
    "thrifty": ("{} at half the price until Sunday", "Save six pounds on {} today"),
}
LIKES = {"new": "warm", "regular": "expert", "student": "thrifty"}
CLICKS, LIKED = 0.08, 0.40  # how often a sentence is clicked, and one in the tone that is liked
MAIN = 0.75  # how often a prompt speaks in its first tone
PAIRS = tuple(f"{a}-{b}" for a, b in combinations(TONES, 2))
PROMPTS = (*PAIRS, "expert-warm", "thrifty-warm")


def said(prompt: str, kind: str, rng: np.random.Generator) -> tuple[str, str]:
    """A sentence, and its tone."""
    first, second = prompt.split("-")
    tone = first if rng.random() < MAIN else second
    text = str(rng.choice(TONES[tone])).format(kind)
    return text[0].upper() + text[1:], tone


def week(number: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """The rows of a week."""
    rows = []
    for i in range(ROWS):
        kind, visitor = str(rng.choice(KINDS)), str(rng.choice(VISITORS))
        chances = rng.dirichlet(np.full(len(PROMPTS), 20.0)).round(6)
        chances[-1] = 1 - chances[:-1].sum()
        prompt = int(rng.choice(len(PROMPTS), p=chances / chances.sum()))
        text, tone = said(PROMPTS[prompt], kind, rng)
        clicks = LIKED if LIKES[visitor] == tone else CLICKS
        row: dict[str, Any] = {"request_id": f"w{number}-{i}", "query_id": kind}
        row |= {"visitor": visitor, "visits": int(rng.integers(1, 9)), "prompt_id": PROMPTS[prompt]}
        row |= {
            "p": float(chances[prompt]),
            "ps": dict(zip(PROMPTS, chances.tolist(), strict=True)),
        }
        rows.append(row | {"sentence": text, "click": int(rng.random() < clicks)})
    return rows


def bank(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Sentences of every prompt about every kind, none of which was logged."""
    return [
        {"query_id": kind, "prompt_id": prompt, "draw": draw, "text": said(prompt, kind, rng)[0]}
        for kind in KINDS
        for prompt in PROMPTS
        for draw in range(DRAWS)
    ]


def main(folder: Path) -> None:
    """Draw both weeks and the bank."""
    rng = np.random.default_rng(SEED)
    for name, rows in (("week1", week(1, rng)), ("week2", week(2, rng)), ("bank", bank(rng))):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
