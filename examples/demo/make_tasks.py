"""Write tasks.csv: sums of two numbers up to 25, each once, in random order from a seed.

python make_tasks.py 500 7 > tasks.csv
"""

import csv
import random
import sys


def main(rows: int, seed: int) -> None:
    """Print that many tasks."""
    pairs = [(a, b) for a in range(2, 26) for b in range(2, 26)]
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["id", "question", "answer"])
    for i, (a, b) in enumerate(random.Random(seed).sample(pairs, rows), start=1):
        out.writerow([i, f"{a} + {b}", a + b])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
