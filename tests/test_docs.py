"""What the documentation shows runs, what it links to exists, and the command page is current."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from bestpolicy import Study, designs
from bestpolicy.config import load
from bestpolicy.config.schema import (
    BudgetSection,
    DecideSection,
    DesignSection,
    JudgeSection,
    StudySection,
)
from bestpolicy.core.duels import Duels, DuelState
from bestpolicy.core.nouns import Verdict
from newcomer import DELTA, RUNS, is_as_rare_as_promised

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
PYTHON = [
    pytest.param(block, id=f"{page.stem}-{i}")
    for page in PAGES
    for i, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S))
]


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The design that CONTRIBUTING shows, added the way it says: as one more file."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    code = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)[0]
    (tmp_path / "least_asked.py").write_text(code)
    monkeypatch.setattr(designs, "__path__", [*designs.__path__, str(tmp_path)])


@pytest.mark.usefixtures("newcomer")
@pytest.mark.parametrize("block", PYTHON)
def test_an_example_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = tmp_path / "example.py"
    example.write_text(block)
    runpy.run_path(str(example), run_name="__main__")


@pytest.mark.usefixtures("newcomer")
def test_a_newcomer_adds_a_design_with_one_file_of_at_most_40_lines(tmp_path: Path) -> None:
    assert len((tmp_path / "least_asked.py").read_text().splitlines()) <= 40
    assert "least-asked" in designs.names()
    with Study(["a", "b"], design="least-asked") as study:
        while duel := study.ask():
            study.tell(duel, winner="left" if duel.left == "a" else "right")
        assert study.verdict().policy == "a"


def test_the_readme_opens_with_the_promise_and_two_commands() -> None:
    opening = (ROOT / "README.md").read_text().split("\n## ")[0]
    assert "at confidence 0.95" in opening
    assert "make demo" in opening
    assert "make test" in opening
    assert len(re.findall(r"^```python", (ROOT / "README.md").read_text(), re.M)) >= 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", re.sub(r"\s+", " ", text)):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_command_page_is_the_commands_own_help() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "write_cli.py"), run_name="docs")
    page = ROOT / "docs" / "guide" / "cli.md"
    assert page.read_text() == written["page"](), "run `make docs`"


def test_the_page_of_measurements_is_what_the_benches_wrote() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "write_bench.py"), run_name="docs")
    assert (ROOT / "docs" / "bench" / "README.md").read_text() == written["page"](), "`make docs`"


def test_every_design_page_is_listed() -> None:
    index = (ROOT / "docs" / "design" / "README.md").read_text()
    for page in (ROOT / "docs" / "design").glob("0*.md"):
        assert f"({page.name})" in index


def test_the_demo_is_a_right_study() -> None:
    file = load(str(ROOT / "examples" / "demo" / "study.yaml"))
    assert len(file.policies) >= 6
    assert {policy.section.temperature for policy in file.policies} == {0, 1}
    assert file.rows is not None
    assert len(file.rows) == 100


def keys_of(section: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every key that a study file may have, as the page writes it: `judge.order`, `metric`."""
    for name, field in section.model_fields.items():
        yield above + name
        for inner in sections_in(field.annotation):
            yield from keys_of(inner, f"{name}." if inner in ONE_OF_A_KIND else "")


ONE_OF_A_KIND = (JudgeSection, DesignSection, DecideSection, BudgetSection)


def sections_in(kind: Any) -> Iterator[type[BaseModel]]:
    """The mappings that a value may be, or hold."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from sections_in(part)


def undocumented(page: str) -> list[str]:
    return [
        key
        for key in keys_of(StudySection)
        if f"`{key}`" not in page and f"`{key}:" not in page and not_a_head(key)
    ]


def not_a_head(key: str) -> bool:
    """`judge`, `design` and the like are the beginnings of the keys below them."""
    return key not in ("judge", "design", "decide", "budget")


def test_every_key_of_a_study_file_is_documented() -> None:
    assert undocumented((ROOT / "docs" / "guide" / "studies.md").read_text()) == []


def test_a_key_that_the_page_leaves_out_is_caught() -> None:
    page = (ROOT / "docs" / "guide" / "studies.md").read_text()
    assert undocumented(page.replace("`requests_per_minute`", "")) == ["requests_per_minute"]


@dataclass(frozen=True)
class Hasty:
    """The broken twin: names whoever leads after ten comparisons."""

    honest: Duels

    def __getattr__(self, name: str) -> Any:
        return getattr(self.honest, name)

    def verdict(self, state: DuelState) -> Verdict[int]:
        found = self.honest.verdict(state)
        if state.told < 10:
            return found
        leader = self.honest.standing(state).leader
        return replace(found, kind="winner", policy=leader, comparisons=state.told)


def test_a_design_with_a_hasty_stop_fails_the_newcomers_test() -> None:
    hasty = [Hasty(designs.make("llm-po", policies=8, delta=DELTA))] * RUNS
    assert not is_as_rare_as_promised(hasty, "cyc8")
