"""`call: module:function`: any Python function, found beside the YAML or on the Python path."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

_beside: dict[str, Path] = {}  # modules of the process that came from beside a YAML file


class CallFault(Exception):
    """A function that cannot be called; the caller knows where it was named."""


def resolve(
    name: str, folder: Path, arguments: tuple[str, ...], *, home: str = "the YAML"
) -> Callable[..., Any]:
    """The function, imported, and known to take these arguments; `home` is what it is beside."""
    module_name, _, attribute = name.partition(":")
    module = _module(module_name, folder, home)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise CallFault(f"module {module_name!r} has no {attribute!r}{_near(part, dir(found))}")
        found = getattr(found, part)
    if not callable(found):
        raise CallFault(f"{name!r} is not a function, saw {found!r:.60}")
    if inspect.iscoroutinefunction(found):
        raise CallFault(
            f"{name!r} is an async function; give a plain one, run by `workers` threads"
        )
    try:
        inspect.signature(found).bind(*arguments)
    except TypeError:
        raise CallFault(f"{name!r} must take ({', '.join(arguments)})") from None
    except ValueError:
        pass  # some built-ins do not tell their signature
    return found  # type: ignore[no-any-return]


def _module(name: str, folder: Path, home: str) -> ModuleType:
    top = name.partition(".")[0]
    homes = (folder / f"{top}.py", folder / top / "__init__.py")
    source = next((home.resolve() for home in homes if home.exists()), None)
    try:
        if source is not None:
            _load_beside(top, source)
        return importlib.import_module(name)
    except CallFault:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise CallFault(f"importing {name!r} raised {_raised(error)}") from None
        beside = [p.stem for p in folder.glob("*.py")]
        raise CallFault(
            f"no module {name!r} beside {home} nor on the Python path{_near(name, beside)}"
        ) from None
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise CallFault(f"importing {name!r} raised {_raised(error)}") from None


def _load_beside(name: str, source: Path) -> None:
    """Import from beside the YAML, whatever another study's module of that name was."""
    if _beside.get(name) == source and name in sys.modules:
        return
    here = getattr(sys.modules.get(name), "__file__", None)
    if here is not None and Path(here).resolve() == source:
        return
    if name in sys.modules and name not in _beside:
        raise CallFault(f"{source.name} has the name of a module already in use; rename the file")
    for known in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
        del sys.modules[known]
    if str(source.parent) not in sys.path:
        sys.path.insert(0, str(source.parent))  # the module may import its own neighbours
    spec = importlib.util.spec_from_file_location(name, source)
    if spec is None or spec.loader is None:
        raise CallFault(f"{source.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _beside[name] = source


def _raised(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _near(word: str, words: list[str]) -> str:
    found = get_close_matches(word, [w for w in words if not w.startswith("_")], n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
