"""Real logs: the sample of the Open Bandit Dataset, read from the installed package `obp`.

Its two policies ran side by side, so that the uniform one's own click rate is the truth that the
other's log is asked for. Nothing of it is in this repository.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pyarrow import csv

from bestpolicy.core.log import Log
from bestpolicy.offpolicy.describe import describe
from bestpolicy.offpolicy.evaluate import Evaluation, evaluate

CAMPAIGNS = ("all", "men", "women")
HEAVY = {"all": 0.76, "men": 0.68, "women": 0.80}  # tail index, as the method note has it


def sample(policy: str, campaign: str) -> Log:
    found = find_spec("obp")
    if found is None or found.origin is None:
        pytest.skip("the Open Bandit sample is looked for in the package `obp`, not installed here")
    folder = Path(found.origin).parent / "dataset" / "obd" / policy / campaign
    if not folder.exists():
        pytest.skip(f"the Open Bandit sample is looked for in {folder}, which is not there")
    rows = csv.read_csv(folder / f"{campaign}.csv")
    items = csv.read_csv(folder / "item_context.csv").num_rows
    column = {name: rows[name].to_numpy() for name in ("item_id", "click", "position")}
    return Log(
        column["item_id"],
        column["click"].astype(float),
        rows["propensity_score"].to_numpy(),
        tuple(f"item {i}" for i in range(items)),
        contexts=np.eye(3)[column["position"] - 1],
        times=rows["timestamp"].cast("int64").to_numpy() / 1e9,
    )


def asked(campaign: str) -> Evaluation:
    return evaluate(sample("bts", campaign), "uniform")


def line(found: Evaluation, name: str) -> tuple[str, float | None]:
    (one,) = (one for one in found.diagnosis.lines if one.name == name)
    return one.verdict, one.value


def test_the_womens_log_cannot_say_what_a_uniform_policy_earns() -> None:
    found = asked("women")
    assert found.verdict == found.diagnosis.verdict == "stop"
    assert line(found, "effective-rows") == ("stop", pytest.approx(2.08, abs=0.01))
    assert line(found, "mean-weight") == ("stop", pytest.approx(3.13, abs=0.01))
    assert not found["ips"].claims
    assert "cannot say" in found.reason


def test_a_z_test_of_the_mean_weight_would_have_passed_the_womens_log() -> None:
    log = sample("bts", "women")
    w = 1 / (46 * log.propensity)
    assert abs(w.mean() - 1) / (w.std(ddof=1) / np.sqrt(len(w))) < 2


@pytest.mark.parametrize("campaign", ["all", "men"])
def test_the_other_logs_warn_and_their_interval_holds_the_uniform_logs_own_rate(
    campaign: str,
) -> None:
    found, truth = asked(campaign), sample("random", campaign).rewards.mean()
    assert found.diagnosis.verdict == "warn"
    assert found.verdict != "stop"
    assert found["ips"].low <= truth <= found["ips"].high
    assert found["ips"].claims
    assert found["ips"].intervals["betting"].low == found["ips"].low


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_the_tail_index_is_hills_of_the_largest_three_percent(campaign: str) -> None:
    found = asked(campaign)
    assert line(found, "tail")[1] == pytest.approx(HEAVY[campaign], abs=0.008)
    w = np.sort(1 / (len(sample("bts", campaign).names) * sample("bts", campaign).propensity))
    top = w[::-1][:300]
    assert line(found, "tail")[1] == pytest.approx(np.log(top / top[-1]).sum() / 299, abs=0.005)


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_chances_that_a_real_policy_logged_are_not_called_wrong(campaign: str) -> None:
    found = asked(campaign)
    assert line(found, "propensities")[0] == "ok"
    assert line(found, "drift")[0] == "ok"


def test_the_uniform_log_answers_for_any_policy_near_it() -> None:
    seen = describe(sample("random", "all"))
    assert seen.uniform == pytest.approx(10_000)
    assert [one.verdict for one in seen.lines] == ["ok", "ok", "ok"]
    assert seen.reward.low <= 0.0038 <= seen.reward.high
    assert seen.binary
    assert seen.contexts == 3
