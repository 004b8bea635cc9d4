"""Every command that takes a study file takes one whose record is on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def on_server(study: Callable[..., Path], postgres: str) -> Path:
    path = study()
    path.write_text(path.read_text() + f"store: '{postgres}'\n")
    return path


def test_a_study_on_a_server_is_run_shown_exported_and_replayed(
    on_server: Path, command: Command, tmp_path: Path
) -> None:
    code, said, _ = command("status", on_server, "--json")
    assert code == 2
    assert "nothing in postgresql://127.0.0.1" in said["error"]["message"]
    code, ran, err = command("run", on_server, "--json")
    assert code == 0, err
    assert ran["verdict"]["policy"] == "good"
    code, shown, _ = command("status", on_server, "--json")
    assert code == 0
    assert shown["verdict"] == ran["verdict"]
    code, replayed, _ = command("replay", on_server, "--json")
    assert code == 0
    assert replayed["replay"] == ran["replay"]
    code, exported, _ = command("export", on_server, "--format", "jsonl", "--json")
    assert code == 0
    assert exported["export"]["rows"] == ran["verdict"]["comparisons"]
    assert command("report", on_server, "-o", tmp_path / "r.html", "--json")[0] == 0
    code, again, _ = command("work", on_server, "--json")
    assert code == 0
    assert again["verdict"] == ran["verdict"]
    assert again["worker"]["told"] == 0
    assert not list(tmp_path.glob("*.db*"))


def test_the_record_is_the_same_to_the_bit_on_a_server_and_in_a_file(
    on_server: Path, command: Command
) -> None:
    _, there, _ = command("run", on_server, "--json")
    on_server.write_text("".join(on_server.read_text().partition("store:")[:1]))
    _, here, _ = command("run", on_server, "--json")
    assert here["replay"] == there["replay"]
    assert here["verdict"] == there["verdict"]


def test_a_gate_keeps_its_record_on_a_server(on_server: Path, command: Command) -> None:
    code, _, err = command("gate", on_server, "--baseline", "poor", "--candidate", "good", "--json")
    assert code == 0, err
    code, again, _ = command(
        "gate", on_server, "--baseline", "poor", "--candidate", "good", "--json"
    )
    assert code == 0
    assert any("postgresql://" in warning for warning in again["warnings"])
    assert "postgres@" not in str(again["warnings"])
