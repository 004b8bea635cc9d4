"""What names a model: where it is, and what is put on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Named:
    """What makes a model itself: two policies that agree in it share one."""

    name: str
    base_url: str | None = None
    api_key_env: str | None = None
    adapter: str | None = None

    def __str__(self) -> str:
        """What tells this model from every other; a key does not."""
        return " ".join(part for part in (self.name, self.base_url, self.adapter) if part)
