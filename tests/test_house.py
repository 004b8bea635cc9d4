"""The house rules that no other tool checks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import bestpolicy
from bestpolicy import designs
from bestpolicy.bench import TABLES
from bestpolicy.cli import cli

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "bestpolicy"
FILES = sorted([*SOURCE.rglob("*.py"), *(ROOT / "tests").glob("**/*.py")])


def loaded_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after this code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
    )
    return set(done.stderr.split())


def test_the_nouns_stay_a_page() -> None:
    assert len((SOURCE / "core" / "nouns.py").read_text().splitlines()) <= 160


@pytest.mark.parametrize(
    "code",
    [
        "import bestpolicy",
        "import bestpolicy; dir(bestpolicy)",
        "from bestpolicy.cli import outcome; assert outcome(['--help']) == 0",
        "from bestpolicy.cli import outcome; assert outcome(['run', '--help']) == 0",
        "from bestpolicy.cli import outcome; assert outcome(['--version']) == 0",
    ],
)
def test_import_and_help_load_nothing_heavy(code: str) -> None:
    heavy = {
        "numpy", "scipy", "torch", "pydantic", "ruamel.yaml", "rich", "matplotlib", "openai",
        "httpx2", "genai_prices", "jsonschema", "jinja2", "plotly", "pyarrow", "transformers",
    }  # fmt: skip
    assert not heavy & loaded_after(code)


def test_the_check_for_heavy_imports_can_fail() -> None:
    assert "numpy" in loaded_after("import bestpolicy; bestpolicy.Study")


OWNERS = {  # who alone may import what is large
    "torch": {"local", "local_adapter", "local_batch", "weights", "minilm"},
    "transformers": {"local", "local_adapter", "local_batch", "weights", "minilm"},
    "wordllama": set(),  # its loader downloads what it misses; its files are read by themselves
    "peft": {"local_adapter"},
    "plotly": {"drawing", "plots", "log_plots"},
    "jinja2": {"room"},
    "openai": {"openai"},
    "genai_prices": {"prices"},
    "psycopg": {"postgres"},
    "sklearn": {"boosted"},
}


def strangers(path: Path) -> list[str]:
    """What is large and this module may not import."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    tops = {name.partition(".")[0] for name in found}
    return [top for top in tops if path.stem not in OWNERS.get(top, {path.stem})]


def test_what_is_large_is_imported_by_its_owners_alone() -> None:
    assert not {str(path): wrong for path in SOURCE.rglob("*.py") if (wrong := strangers(path))}


def test_the_check_of_owners_can_fail(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text("import torch.nn\nfrom plotly import io\n")
    assert sorted(strangers(tmp_path / "study.py")) == ["plotly", "torch"]


def test_at_most_twenty_public_names_and_all_are_there() -> None:
    assert len(bestpolicy.__all__) <= 20
    for name in bestpolicy.__all__:
        assert getattr(bestpolicy, name) is not None


def test_the_default_install_is_light() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted, seen = list(project["dependencies"]), set[str]()
    while wanted:
        requirement = Requirement(wanted.pop())
        marker = requirement.marker
        if marker is not None and not any(
            marker.evaluate({"extra": extra}) for extra in [*requirement.extras, ""]
        ):
            continue
        name = requirement.name.lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            wanted += requires(name) or []
        except PackageNotFoundError as error:
            raise AssertionError(f"{name} is required and not installed") from error
    assert 6 <= len(seen) + 1 <= 40
    assert not seen & {"torch", "pandas", "litellm", "polars"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_longer_than_350_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_source_can_run_what_it_reads(path: Path) -> None:
    assert not dangers(path.read_text())


@pytest.mark.parametrize(
    "code", ["import pickle", "from pickle import loads", "eval('1')", "exec('x = 1')"]
)
def test_the_check_for_dangers_can_fail(code: str) -> None:
    assert dangers(code)


def dangers(code: str) -> list[str]:
    """What could run data as code: pickle and its kin, eval, exec."""
    banned = {"pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib", "eval", "exec"}
    used: list[str] = []
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Import(names=names):
                used += [name.name.partition(".")[0] for name in names]
            case ast.ImportFrom(module=module) if module:
                used.append(module.partition(".")[0])
            case ast.Call(func=ast.Name(id=name)):
                used.append(name)
    return [name for name in used if name in banned]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.stem)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree)


def test_every_command_has_help_and_a_place_in_the_docs() -> None:
    page = (ROOT / "docs" / "guide" / "cli.md").read_text()
    for name, command in cli.commands.items():
        assert command.help
        assert f"## bestpolicy {name}\n" in page


def test_every_design_is_in_the_table_of_designs() -> None:
    table = (ROOT / "docs" / "guide" / "designs.md").read_text()
    for name in designs.names():
        assert f"| `{name}` |" in table


def test_every_published_table_has_a_module_of_its_name() -> None:
    for name in TABLES:
        home = SOURCE / "bench" / name.replace("-", "_")
        assert home.with_suffix(".py").exists() or (home / "__init__.py").exists()


def test_make_check_runs_every_tool() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = makefile.split("\ncheck:")[1].split("\n\n")[0]
    for tool in ("ruff format --check", "ruff check", "mypy", "lint-imports", "pytest"):
        assert tool in recipe


def test_every_pin_is_a_version_and_no_address() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+", line), line
