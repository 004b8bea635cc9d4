"""The real sample of the Open Bandit Dataset, where obp is installed: its files are read, its code
is never imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bestpolicy.offpolicy.evaluate import evaluate
from bestpolicy.offpolicy.readers import LogFile, read_log

ITEMS = {"all": 80, "men": 34, "women": 46}
# Of the note: IPS and SNIPS of the uniform policy, the largest weight, effective rows, the ends of
# the betting interval; all from the log that Thompson sampling wrote.
TOLD = {
    "all": (0.0024, 0.0023, 278, 340, 0.0009, 0.136),
    "men": (0.0030, 0.0032, 178, 656, 0.0014, 0.161),
    "women": (0.0074, 0.0024, 21_739, 2, 0.0016, 0.093),
}


def sample(policy: str, campaign: str) -> LogFile:
    spec = find_spec("obp")
    where = "the Open Bandit sample is read from the installed package obp"
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{where}, which is not there")
    home = Path(spec.submodule_search_locations[0]) / "dataset" / "obd"
    path = home / policy / campaign / f"{campaign}.csv"
    if not path.exists():
        pytest.skip(f"{where}, which has no {path.relative_to(home)}")
    log = read_log(path)
    assert isinstance(log, LogFile)
    return log


@pytest.mark.parametrize("campaign", ITEMS)
def test_the_sample_is_read_as_it_is_and_gives_the_known_figures(campaign: str) -> None:
    log = sample("bts", campaign)
    assert (len(log), len(log.names)) == (10_000, ITEMS[campaign])
    at_hand = log.load()
    assert at_hand.contexts is not None
    assert at_hand.contexts.shape == (10_000, 5)
    assert set(at_hand.contexts[:, 0]) == {1.0, 2.0, 3.0}
    ips, snips, top, worth, low, high = TOLD[campaign]
    w = 1 / (ITEMS[campaign] * at_hand.propensity)
    assert round(float(w.max())) == top
    assert round(float(w.sum() ** 2 / (w @ w))) == worth
    found = evaluate(log, "uniform")
    assert found["ips"].value == pytest.approx(ips, abs=5e-5)
    assert found["snips"].value == pytest.approx(snips, abs=5e-5)
    assert found["ips"].low == pytest.approx(low, abs=1e-4)
    assert found["ips"].high == pytest.approx(high, abs=1e-3)


@pytest.mark.parametrize("campaign", ["all", "men"])
def test_the_interval_contains_what_the_uniform_policy_did_earn(campaign: str) -> None:
    own = float(np.mean([chunk.rewards.mean() for chunk in sample("random", campaign).chunks()]))
    found = evaluate(sample("bts", campaign), "uniform")["ips"]
    assert found.low <= own <= found.high
