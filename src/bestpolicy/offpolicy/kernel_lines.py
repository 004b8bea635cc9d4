"""Lines of the diagnosis for sentences: whether kernel weights can carry an answer.

A stop here speaks of the kernel estimators alone.

kernel rows      (Σ k)² / Σ k²
kernel density   mean k at pi = pi_0, which is 1 where the density is right
kernel contrast  share of pairs of one context's draws with K > .99 K(0): a flat kernel sees
                 all sentences alike, so that every weight is 1 and nothing is learnt
variogram        mean (e_i - e_j)² / 2 of the nearest tenth of pairs over that of all, e the
                 reward less what the context explains: 1 where the embedding says nothing of it.
                 Noise drowns that first: a stop needs a cross-fitted model of sentences that
                 foretells nothing of e either
kernel support   mass of pi on sentences with c(x, s') < .2, c = E_{pi_0}[K(s, s') / D(s)],
                 whose mean under pi_0 is 1: small where nothing alike was logged
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bestpolicy.core.log import Log, Logged, Target
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.density import Source, embeddings, logged
from bestpolicy.offpolicy.kernel import Kernel, squares
from bestpolicy.offpolicy.lines import Level, Line
from bestpolicy.offpolicy.rows import Given, Side, parts
from bestpolicy.offpolicy.sentence_model import sentence_model
from bestpolicy.offpolicy.targets import logging, target_of

LOOKED_AT = 200  # contexts whose draws are held against each other,
DRAWS = 40  # so many of each; and
PAIRED = 1000  # rows whose rewards are
SHUFFLES = 40
FORETOLD = 2.5  # standard errors: by chance once in 160 logs
THIN = 0.2  # c below which nothing alike was logged


def kernel_lines(
    log: Logged, target: Target | str, source: Source, kernel: Kernel, weights: Side
) -> tuple[Line, ...]:
    """All of them, `weights` being what kernel estimators are given."""
    asked = target_of(target, log)
    k, own = (all_weights(log, policy, weights) for policy in (asked, logging()))
    return (
        effective(k),
        density(own),
        contrast(log, source, kernel),
        variogram(log),
        support(log, asked, source, kernel),
    )


def all_weights(log: Logged, target: Target, weights: Side) -> Array:
    """(n,) k_i of this target."""
    return np.concatenate([weights(rows) for rows in parts(log, target, Given())])


def effective(k: Array) -> Line:
    found = float(k.sum() ** 2 / (k @ k)) if k.any() else 0.0
    verdict: Level = "ok" if found >= 500 else "warn" if found >= 100 else "stop"
    advice = "" if verdict == "ok" else "log more rows, or ask about a policy nearer the logged one"
    said = f"kernel weights leave {found:,.0f} effective rows of {len(k):,}"
    return Line("effective-rows-of-sentences", said, verdict, found, advice, binds=False)


def density(own: Array) -> Line:
    """Of the weights that the logging policy itself gets."""
    found = float(own.mean())
    verdict = _banded(found, ok=(0.95, 1.05), warn=(0.8, 1.25))
    advice = "" if verdict == "ok" else "sum over the bank's prompts, share draws, or draw 400"
    said = f"kernel weights of the logging policy itself have mean {found:.2f}, where 1 is right"
    return Line("kernel-density", said, verdict, found, advice, binds=False)


def contrast(log: Logged, source: Source, kernel: Kernel) -> Line:
    alike, pairs = 0, 0
    for _, said in _drawn(log, source):
        near = kernel(squares(said, said))[:, *np.triu_indices(said.shape[1], 1)]
        alike, pairs = alike + int((near > 0.99).sum()), pairs + near.size
    found = alike / pairs
    verdict: Level = "ok" if found < 0.5 else "warn" if found <= 0.9 else "stop"
    advice = "" if verdict == "ok" else "narrow the kernel: give its width in median distances"
    told = f"to the kernel {found:.0%} of pairs of one context's sentences are the same"
    return Line("kernel-contrast", told, verdict, found, advice, binds=False)


def variogram(log: Logged, seed: int = 0) -> Line:
    """Nearness is that of context and sentence together, each scaled by its median distance."""
    some = _some(log, PAIRED)
    r = np.concatenate([part.rewards for part in some])
    said = np.concatenate([embeddings(part) for part in some])
    i, j = np.triu_indices(len(r), 1)
    far = squares(said, said)[i, j]
    far /= np.median(far) or 1.0
    e = r - r.mean()
    if some[0].contexts is not None:
        x = np.concatenate([_flat(part) for part in some])
        x = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1.0)
        apart = squares(x, x)[i, j]
        far += apart / (np.median(apart) or 1.0)
        e = e - x @ np.linalg.lstsq(x, e, rcond=None)[0]
    nearest = np.argpartition(far, len(far) // 10)[: max(1, len(far) // 10)]
    i, j = i[nearest], j[nearest]
    if not (overall := float(e.var(ddof=1))):
        return Line("variogram", "all rewards are the same", "unchecked")

    def near(e: Array) -> float:
        return float(((e[i] - e[j]) ** 2).mean() / 2 / overall)

    rng = stream(seed, "variogram")
    error = float(np.std([near(rng.permutation(e)) for _ in range(SHUFFLES)]))
    found = near(e)
    told = f"rewards of alike sentences vary {found:.2f} times as much as any (± {error:.2f})"
    verdict: Level = "ok" if found < 0.9 else "warn"
    advice = ""
    if found >= 1 - 2 * error:
        foretold = foresight(log)
        told += f"; a model of sentences foretells rewards by {foretold:.1f} standard errors"
        if foretold < FORETOLD:
            verdict, advice = "stop", "another embedding, or none: compare prompts"
    return Line("variogram", told, verdict, found, advice, binds=False)


def foresight(log: Logged) -> float:
    """By how many standard errors a sentence model's predictions go with the rewards that it has
    not seen, once what the context explains is taken off both."""
    if len(log) < 2 * PAIRED // 100:
        return 0.0
    thetas = sentence_model(log, None)
    chunks = list(log.chunks())
    q = np.concatenate([thetas.predicted(part, embeddings(part)) for part in chunks])
    e = np.concatenate([part.rewards for part in chunks])
    one = np.ones((len(e), 1))
    if chunks[0].contexts is not None:
        one = np.hstack([one, np.concatenate([_flat(part) for part in chunks])])
    for column in (q, e):
        column -= one @ np.linalg.lstsq(one, column, rcond=None)[0]
    each = q * e
    error = float(each.std()) * len(each) ** 0.5
    return float(each.sum()) / error if error else 0.0


def support(log: Logged, target: Target, source: Source, kernel: Kernel) -> Line:
    thin, mass = 0.0, 0
    for part, said in _drawn(log, source):
        table = target.table(part)
        if table is None:
            raise ConfigError(f"the target {target.name!r} must be known for all prompts")
        _, asked = source.draws(part, table, DRAWS, "target")
        c = counts(kernel(squares(said, said)), kernel(squares(said, asked)))
        thin, mass = thin + float((c < THIN).sum()), mass + c.size
    found = thin / mass
    verdict: Level = "ok" if found < 0.05 else "warn" if found <= 0.2 else "stop"
    advice = "" if verdict == "ok" else "log some of what the target says, or widen the kernel"
    told = f"{found:.0%} of what the target says has nothing alike in the log"
    return Line("kernel-support", told, verdict, found, advice, binds=False)


def counts(among: Array, to: Array) -> Array:
    """(…, m) c(x, s') by K among B draws of pi_0, (…, B, B), and from them to s', (…, B, m)."""
    made: Array = (to / among.mean(axis=-1)[..., None]).mean(axis=-2)
    return made


def median_distance(log: Logged, source: Source) -> float:
    """Of draws of pi_0 in one context: what the width of a kernel is counted in."""
    far = [
        squares(said, said)[:, *np.triu_indices(said.shape[1], 1)].ravel()
        for _, said in _drawn(log, source)
    ]
    found = float(np.sqrt(np.median(np.concatenate(far))))
    if not found:
        raise ConfigError(
            "more than half of the pairs of one context's sentences are the same: the generator "
            "says one thing, whatever the prompt; compare prompts and not sentences"
        )
    return found


def _drawn(log: Logged, source: Source) -> Iterator[tuple[Log, Array]]:
    """Some rows spread over the log, and draws of pi_0 in their contexts."""
    for part in _some(log, LOOKED_AT):
        yield part, source.draws(part, logged(part), DRAWS, "look")[1]


def _some(log: Logged, rows: int) -> list[Log]:
    """At most so many rows, spread evenly."""
    every = max(1, -(-len(log) // rows))
    found = []
    for chunk in log.chunks():
        first = -chunk.start % every
        found += [chunk.at(slice(i, i + 1)) for i in range(first, len(chunk), every)]
    if not found:
        raise ConfigError("a log without rows says nothing")
    return found


def _flat(log: Log) -> Array:
    assert log.contexts is not None
    return np.asarray(log.contexts, dtype=np.float64).reshape(len(log), -1)


def _banded(value: float, ok: tuple[float, float], warn: tuple[float, float]) -> Level:
    if ok[0] <= value <= ok[1]:
        return "ok"
    return "warn" if warn[0] <= value <= warn[1] else "stop"
