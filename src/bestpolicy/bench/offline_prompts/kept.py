"""Finished fits, a line each, so that a long bench goes on where it was interrupted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

Found = dict[str, float]
EDITION = 1  # raise it when a method, a world or the training changes: what was kept is then void


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of results by what was fitted."""

    path: Path

    @classmethod
    def within(cls, folder: Path) -> Kept:
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder / f"offline-prompts-{EDITION}.jsonl")

    def read(self) -> dict[str, Found]:
        """All that is finished; a last line that was cut off is not."""
        if not self.path.is_file():
            return {}
        found = {}
        for line in self.path.read_text().splitlines():
            try:
                said = json.loads(line)
            except json.JSONDecodeError:
                continue
            found[said.pop("fit")] = said
        return found

    def add(self, results: dict[str, Found]) -> None:
        """In one write, which starts a line of its own: what stands before it may be cut off."""
        lines = [json.dumps({"fit": key} | result) for key, result in results.items()]
        cut = self.path.is_file() and not self.path.read_bytes().endswith(b"\n")
        with self.path.open("a") as file:
            file.write("\n" * (cut and self.path.stat().st_size > 0) + "\n".join([*lines, ""]))
