"""Policy files: a learned policy as numbers and a page of JSON, safe to open wherever it is from.

An .npz archive: `about` is JSON in UTF-8, all else are arrays; nothing in it is ever run. Nets are
told apart by a name before their parts: `policy.W` and so on, for POTEC `model0.W` besides.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import Feature
from bestpolicy.core.net import Net
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.softmax import Softmax
from bestpolicy.offpolicy.learned import LearnedPolicy
from bestpolicy.offpolicy.learners.methods import Learnt
from bestpolicy.offpolicy.learners.potec import Foreseeing, TwoStages
from bestpolicy.offpolicy.learners.training import Scored
from bestpolicy.offpolicy.reward_nets import Crossed, Standardised
from bestpolicy.offpolicy.rows_seen import RowsSeen

KIND, VERSION = "bestpolicy policy", 1
# What numpy, zipfile and zlib raise over a file that is none of theirs, or damaged.
BROKEN = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, SyntaxError, MemoryError),
)
Arrays = dict[str, NDArray[Any]]


def write_policy(policy: LearnedPolicy, path: Path | str) -> None:
    """Write the file whole or not at all."""
    arrays: Arrays = {"rows": policy.seen.marks}
    core = policy.core
    if isinstance(core, TwoStages):
        arrays |= _foreseeing(core)
        core = core.first
    if not (isinstance(core, Softmax) and isinstance(core.score, Scored)):
        raise ConfigError(f"a policy of {type(core).__name__} cannot be kept in a file")
    arrays |= _scored("policy", core.score)
    about = {
        "kind": KIND,
        "version": VERSION,
        "names": policy.names,
        "features": [asdict(one) for one in policy.features],
        "method": policy.method,
        "rows_by_id": policy.seen.by_id,
        "about": dict(policy.about),
    }
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def read_policy(path: Path | str) -> LearnedPolicy:
    """The policy in this file."""
    path = Path(path)
    try:
        # From memory: over a broken file numpy would leave the handle open.
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays: Arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays["about"].tobytes())
        if about["kind"] != KIND:
            raise ValueError
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}; `bestpolicy learn` writes one") from None
    except BROKEN:
        raise ConfigError(f"{path} is not a policy that `bestpolicy learn` has written") from None
    if about["version"] > VERSION:
        raise ConfigError(f"{path} was written by a newer bestpolicy: update this one")
    try:
        return _made(about, arrays)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise ConfigError(f"{path} is damaged ({error}): learn the policy again") from None


def _made(about: dict[str, Any], arrays: Arrays) -> LearnedPolicy:
    features = tuple(
        Feature(one["name"], tuple(one["words"]), one["width"]) for one in about["features"]
    )
    core: Learnt = Softmax(_as_scored("policy", arrays))
    if "cluster" in arrays:
        models = [_as_standardised(f"model{f}", arrays) for f in range(int(arrays["models"]))]
        foreseen = Foreseeing(Crossed(models), arrays["things"])
        core = TwoStages(Softmax(_as_scored("policy", arrays)), foreseen, arrays["cluster"])
    policy = LearnedPolicy(
        tuple(about["names"]),
        features,
        core,
        about["method"],
        RowsSeen(arrays["rows"], about["rows_by_id"]),
        about["about"],
    )
    _check(policy)
    return policy


def _check(policy: LearnedPolicy) -> None:
    """A damaged file is found out here, and not where it chooses."""
    wide = sum(one.width for one in policy.features)
    table = policy.table(np.zeros((1, wide)) if wide else None, 1)
    if table.shape != (1, len(policy.names)) or not np.isfinite(table).all():
        raise ValueError(f"chances of shape {table.shape}")


def _scored(name: str, of: Scored) -> Arrays:
    return _net(name, of.net) | {f"{name}.centre": of.centre, f"{name}.spread": of.spread}


def _as_scored(name: str, arrays: Arrays) -> Scored:
    return Scored(_as_net(name, arrays), arrays[f"{name}.centre"], arrays[f"{name}.spread"])


def _foreseeing(core: TwoStages) -> Arrays:
    foreseen = core.predictions
    made: Arrays = {
        "cluster": core.cluster,
        "things": foreseen.things,
        "models": np.array(foreseen.models.folds),
    }
    for f, model in enumerate(foreseen.models.models):
        if not isinstance(model, Standardised):
            raise ConfigError("POTEC with a model of your own cannot be kept in a file")
        name = f"model{f}"
        made |= _net(name, model.net) | {
            f"{name}.centre": model.centre,
            f"{name}.spread": model.spread,
            f"{name}.scale": np.array([model.mean, model.scale]),
        }
    return made


def _as_standardised(name: str, arrays: Arrays) -> Standardised:
    mean, scale = arrays[f"{name}.scale"].tolist()
    centre, spread = arrays[f"{name}.centre"], arrays[f"{name}.spread"]
    return Standardised(_as_net(name, arrays), centre, spread, mean, scale)


def _net(name: str, net: Net) -> Arrays:
    return {f"{name}.{part}": getattr(net, part) for part in "WbVc"}


def _as_net(name: str, arrays: Arrays) -> Net:
    return Net(*(arrays[f"{name}.{part}"] for part in "WbVc"))
