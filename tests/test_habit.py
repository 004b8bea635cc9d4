"""A customary stop is shown apart from the verdict, and said not to be certified."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Study = Callable[..., Path]
Command = Callable[..., tuple[int, Any, str]]


def test_the_customary_stop_of_paper_is_told_apart_from_the_verdict(
    study: Study, command: Command
) -> None:
    file = study()
    file.write_text(file.read_text() + "design: {name: paper}\n")
    _, told, _ = command("run", file, "--json")
    habit = told["progress"]["habitual_stop"]
    assert habit["certified"] is False
    assert habit["reached"] == (habit["after"] is not None)
    _, said, _ = command("status", file)
    assert "customary stop, not certified: " in said
    assert f"GLR {habit['glr']:.2f} of {habit['bar']:.2f}" in said


def test_a_design_without_a_customary_stop_tells_of_none(study: Study, command: Command) -> None:
    _, told, _ = command("run", study(), "--json")
    assert told["progress"]["habitual_stop"] is None
    _, said, _ = command("status", study())
    assert "customary" not in said


def test_a_simulation_of_paper_tells_its_customary_stop_apart(command: Command) -> None:
    arguments = ["simulate", "mid16", "--design", "paper", "--reps", 2, "--processes", 1]
    code, told, _ = command(*arguments, "--confidence", 0.6, "--assume-winner", "--json")
    assert code == 0
    assert told["simulation"]["habitual_stop"]["certified"] is False
