"""Writes clicks.csv: 20,000 requests, the prompt that each got, its chance, a click or none.

    python make.py [FOLDER]

A service drew one of four prompts for each request, with chances that depend on the device; `poem`
had three in a thousand. `new_p` is the chance that a new policy would have given to the prompt that
was drawn. The truth is known here: the new policy earns 6.7 clicks more in a hundred requests.
"""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

ROWS, SEED = 20_000, 6
PROMPTS = ("terse", "friendly", "expert", "poem")
DEVICES, COUNTRIES = ("phone", "desktop"), ("DE", "FR", "JP")
# Chances of the prompts on a phone and on a desktop: of the policy that logged, and of the new one.
LOGGED = np.array([[0.30, 0.447, 0.25, 0.003], [0.40, 0.347, 0.25, 0.003]])
NEW = np.array([[0.70, 0.15, 0.15, 0.0], [0.10, 0.20, 0.70, 0.0]])
CLICKS = np.array([[0.34, 0.22, 0.15, 0.25], [0.12, 0.21, 0.33, 0.25]])
LIKING = np.array([0.0, 0.02, -0.02])  # of the countries
FIRST = datetime(2026, 3, 2, tzinfo=UTC)


def main(folder: Path) -> None:
    """Draw the requests of a fortnight and write them in order."""
    rng = np.random.default_rng(SEED)
    device = (rng.random(ROWS) < 0.45).astype(int)
    country = rng.choice(3, ROWS, p=(0.5, 0.3, 0.2))
    prompt = (rng.random(ROWS)[:, None] > LOGGED[device].cumsum(axis=1)).sum(axis=1)
    clicked = rng.random(ROWS) < CLICKS[device, prompt] + LIKING[country]
    seconds = np.sort(rng.uniform(0, 14 * 86_400, ROWS))
    with (folder / "clicks.csv").open("w", newline="") as file:
        write = csv.writer(file)
        write.writerow(
            ["request_id", "ts", "device", "country", "prompt_id", "p", "click", "new_p"]
        )
        for i in range(ROWS):
            at = device[i], prompt[i]
            when = FIRST + timedelta(seconds=float(seconds[i]))
            row = (f"r{i:05}", when.isoformat(timespec="seconds"), DEVICES[device[i]])
            shown = (COUNTRIES[country[i]], PROMPTS[prompt[i]], f"{LOGGED[at]:g}")
            write.writerow([*row, *shown, int(clicked[i]), f"{NEW[at]:g}"])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
