"""Write tasks.csv: sums of a number and a digit, each once, in random order from a seed.

python make_tasks.py 500 7 > tasks.csv
"""

import csv
import random
import sys


def main(rows: int, seed: int) -> None:
    """Print that many tasks."""
    pairs = {(a, b) for n in range(2, 40) for d in range(2, 10) for a, b in ((n, d), (d, n))}
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["id", "question", "answer"])
    for i, (a, b) in enumerate(random.Random(seed).sample(sorted(pairs), rows), start=1):
        out.writerow([i, f"{a} + {b}", a + b])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
