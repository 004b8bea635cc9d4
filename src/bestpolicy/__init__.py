"""Find the best policy of an LLM application from comparisons, and prove it.

study = bestpolicy.Study(["a", "b", "c"], confidence=0.95)
while duel := study.ask():
    study.tell(duel, winner=ask_someone(duel.left, duel.right))
study.verdict().policy
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bestpolicy.core.nouns import BestPolicyError as BestPolicyError
    from bestpolicy.core.nouns import Comparison as Comparison
    from bestpolicy.core.nouns import ConfigError as ConfigError
    from bestpolicy.core.nouns import Design as Design
    from bestpolicy.core.nouns import Outcome as Outcome
    from bestpolicy.core.nouns import Standing as Standing
    from bestpolicy.core.nouns import StoreError as StoreError
    from bestpolicy.core.nouns import Verdict as Verdict
    from bestpolicy.core.nouns import World as World
    from bestpolicy.duel import Duel as Duel
    from bestpolicy.duel import Tally as Tally
    from bestpolicy.gate import assert_not_worse as assert_not_worse
    from bestpolicy.live.client import Live as Live
    from bestpolicy.live.client import assign as assign
    from bestpolicy.live.client import feedback as feedback
    from bestpolicy.offpolicy.evaluate import evaluate as evaluate
    from bestpolicy.offpolicy.learn import learn as learn
    from bestpolicy.offpolicy.readers import read_log as read_log
    from bestpolicy.study import Study as Study

__version__ = "0.1.0"

# Names are fetched when they are first used, so that `import bestpolicy` loads no numpy.
_HOMES = {
    "BestPolicyError": "core.nouns",
    "Comparison": "core.nouns",
    "ConfigError": "core.nouns",
    "Design": "core.nouns",
    "Duel": "duel",
    "Live": "live.client",
    "Outcome": "core.nouns",
    "Standing": "core.nouns",
    "StoreError": "core.nouns",
    "Study": "study",
    "Tally": "duel",
    "Verdict": "core.nouns",
    "World": "core.nouns",
    "assert_not_worse": "gate",
    "assign": "live.client",
    "evaluate": "offpolicy.evaluate",
    "feedback": "live.client",
    "learn": "offpolicy.learn",
    "read_log": "offpolicy.readers",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bestpolicy' has no attribute {name!r}")
    return getattr(import_module(f"bestpolicy.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
