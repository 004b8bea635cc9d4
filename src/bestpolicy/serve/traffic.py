"""Traffic: units in, policies out, feedback in; many requests share one sync of the disk.

    request ──► list ──► one thread settles all that wait in one transaction ──► answers

Whoever is answered is on disk. A unit that was seen lately is answered from memory. In between
the books turn: the evidence reads on, windows pass, a new snapshot is taken.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Self

from bestpolicy.core.nouns import BestPolicyError, StoreError
from bestpolicy.live.books import Books
from bestpolicy.live.draw import disguise, drawn, place
from bestpolicy.live.intake import (
    Arrival,
    Claim,
    Conflict,
    Feedback,
    Receipt,
    Request,
    Settled,
)
from bestpolicy.live.matches import Matches, Side
from bestpolicy.live.stand import Stand
from bestpolicy.live.terms import terms_of
from bestpolicy.run.open import Opened
from bestpolicy.serve.choices import Choices
from bestpolicy.serve.signing import Expired, Forged, Signer
from bestpolicy.store import LastingStore
from bestpolicy.store.claims import Claim as Held
from bestpolicy.store.ledger import Assigned as Row
from bestpolicy.store.rows import canonical, digest

log = logging.getLogger("bestpolicy.serve")

TOKEN, CHOICE = "assignment", "choice"
MATCH = "match"
BATCH = 500  # requests in one transaction, at most
KNOWN = 50_000  # units that are answered from memory
TURN = 0.02  # seconds between turns of the books while requests come
MOST = 100  # rows read in a turn, so that nobody waits long for it
REST = 1.0  # and while none do


@dataclass(frozen=True, slots=True)
class Assigned:
    """What a unit is given."""

    policy: str
    config: Mapping[str, Any]
    propensity: float
    token: str
    text: str  # all of it as JSON
    at: float | None = None  # of a learned policy: where the unit's prompt is drawn


class Traffic:
    """The live traffic of one served study; all but `stand` belongs to the event loop."""

    def __init__(
        self,
        books: Books,
        signer: Signer,
        study: str,
        policies: Mapping[str, Mapping[str, Any]],
        matches: Matches | None = None,  # where the answer is a winner
        choices: Choices | None = None,  # where policies are learned
    ) -> None:
        self.books = books
        self.study = study
        self.policies = tuple(policies)
        self._configs = tuple(policies.values())
        self._openings = tuple(
            f'{{"policy":{json.dumps(policy)},"config":{canonical(config)},"propensity":'
            for policy, config in policies.items()
        )
        self._matches = matches
        self._choices = choices
        self._signer = signer
        self._draws, self._units = signer.key("draw"), signer.key("unit")
        self._known: OrderedDict[str, Row] = OrderedDict()
        self._waiting: list[tuple[Request, asyncio.Future[Settled]]] = []
        self._thread = ThreadPoolExecutor(1, "traffic")
        self._draining: asyncio.Task[None] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._turned = monotonic()

    @classmethod
    def of(cls, opened: Opened, signer: Signer) -> Self:
        """The traffic of an opened study, read as far as its ledger goes."""
        store = opened.study.store
        if not isinstance(store, LastingStore):
            raise StoreError("live traffic needs a record on disk")
        books = Books(store.ledger(), terms_of(opened.file))
        policies = {policy.id: policy.definition for policy in opened.file.policies}
        matches = None
        if books.terms.by == "winner":
            matches = Matches(opened.study, books.ledger, books.terms.window)
        choices = Choices(opened.file, signer.key(CHOICE), opened.study.name)
        return cls(books, signer, opened.study.name, policies, matches, choices or None)

    def wrong(self, context: Mapping[str, Any] | None) -> str | None:
        """Why a unit of this context cannot be given whichever policy there is, if it cannot."""
        return None if self._choices is None else self._choices.wrong(context)

    async def assign(self, unit: str, context: Any = None, *, chosen: bool = True) -> Assigned:
        """The policy of this unit, the same one whenever it comes; of a learned one also what it
        has `chosen`. Whoever asks has made sure that nothing is `wrong` with the context."""
        name = disguise(self._units, self.study, unit)
        row = self._known.get(name)
        if row is None or not self.books.snapshot.chances[row.policy]:
            told = "" if context is None or not self.books.terms.log_context else canonical(context)
            settled = await self._settle(Arrival(name, place(self._draws, self.study, name), told))
            assert isinstance(settled, Row)
            row = self._known[name] = settled
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(name)
        given = self._given(row, name)
        return given if self._choices is None else self._choosing(given, name, context, chosen)

    async def feedback(self, token: str, reward: float, key: str) -> Receipt:
        """Keep what the unit of this token gave back; it is on disk when this returns. Forged,
        Conflict or TooLate say why it is not kept."""
        body = digest([token, reward])
        hashed = disguise(self._units, self.study, f"key {key}")
        told = Feedback(self.claim(token), hashed, body, float(reward))
        settled = await self._settle(told)
        assert isinstance(settled, Receipt)
        return settled

    def told(self) -> dict[str, Any]:
        """What another process needs to draw as this one does."""
        snapshot = self.books.snapshot
        pairs = zip(self.policies, self._configs, strict=True)
        return {
            "study": self.study,
            "version": snapshot.version,
            "chances": list(snapshot.chances),
            "policies": [{"policy": policy, "config": config} for policy, config in pairs],
            "draw_key": self._draws.hex(),
            "unit_key": self._units.hex(),
            "log_context": self.books.terms.log_context,
            "choice_key": "" if self._choices is None else self._signer.key(CHOICE).hex(),
        }

    async def logged(self, rows: Sequence[Mapping[str, Any]]) -> list[Settled]:
        """What becomes of rows that another process drew; each is kept or refused by itself."""
        settled: list[Settled | None] = [None] * len(rows)
        asked = []
        for place_, row in enumerate(rows):
            try:
                asked.append((place_, self._logged(row)))
            except BestPolicyError as refusal:
                settled[place_] = refusal
        ends = await asyncio.gather(
            *(self._settle(request) for _, request in asked), return_exceptions=True
        )
        for (place_, _), end in zip(asked, ends, strict=True):
            if isinstance(end, BaseException) and not isinstance(end, BestPolicyError):
                raise end
            settled[place_] = end
        return [end for end in settled if end is not None]

    def _logged(self, row: Mapping[str, Any]) -> Request:
        """The request that a row stands for; Conflict if nobody can have drawn it."""
        name, version = row["unit"], row["snapshot"]
        chances = self.books.chances(version)
        policy = self.policies.index(row["policy"]) if row["policy"] in self.policies else -1
        if chances is None or drawn(place(self._draws, self.study, name), chances) != policy:
            raise Conflict(f"that unit does not draw {row['policy']!r} with snapshot {version}")
        context = row["context"]
        told = "" if context is None or not self.books.terms.log_context else canonical(context)
        claim = Claim(name, policy, version, chances[policy], context=told)
        if row["reward"] is None:
            return claim
        key = disguise(self._units, self.study, f"key {row['key'] or name}")
        body = digest([name, version, row["reward"]])
        return Feedback(claim, key, body, row["reward"])

    @property
    def by_winner(self) -> bool:
        """Whether units play duels, and say who won."""
        return self._matches is not None

    async def match(self, unit: str, context: Any = None) -> str:
        """The duel of this unit, as JSON; Conflict when there is none left."""
        assert self._matches is not None
        name = disguise(self._units, self.study, unit)
        loop = asyncio.get_running_loop()
        match = await loop.run_in_executor(self._thread, self._matches.assign, name)
        told = {"u": name, "d": match.claim.duel, "t": match.claim.token}
        token = self._signer.sign(MATCH, told, lasts=self.books.terms.window)
        sides = {
            side: {"policy": self.policies[policy], "config": self._config(policy, name, context)}
            for side, policy in (("left", match.left), ("right", match.right))
        }
        return canonical({**sides, "propensity": match.propensity, "token": token})

    async def winner(self, token: str, winner: Side, key: str) -> Receipt:
        """Keep who won the duel of this token; it is on disk when this returns."""
        assert self._matches is not None
        try:
            told: Mapping[str, Any] = self._signer.read(MATCH, token)
        except Expired as over:  # it holds until somebody else plays that duel
            told = over.fields
        body, hashed = digest([token, winner]), disguise(self._units, self.study, f"key {key}")
        held, loop = Held(told["d"], told["t"], 0.0), asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, self._matches.feedback, told["u"], held, hashed, body, winner
        )

    async def forget(self, unit: str) -> int:
        """Blank what tells of this unit; how many rows did."""
        name = disguise(self._units, self.study, unit)
        self._known.pop(name, None)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.books.forget, name)

    def claim(self, token: str) -> Claim:
        """What a token says; Forged if it is not of this study."""
        fresh = True
        try:
            fields: Mapping[str, Any] = self._signer.read(TOKEN, token)
        except Expired as over:
            # The record knows better: a window is not counted on the wall clock.
            fresh, fields = False, over.fields
        if not isinstance(fields.get("u"), str):
            raise Forged
        return Claim(fields["u"], fields["p"], fields["s"], fields["q"], fields.get("n"), fresh)

    def stand(self) -> Stand:
        """Where the traffic stands; any thread may ask."""
        return self.books.stand()

    async def __aenter__(self) -> Self:
        self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Answer whoever waits, then stop."""
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        if self._draining is not None:
            await self._draining
        while await self._turn():
            pass
        self._thread.shutdown()

    def _given(self, row: Row, unit: str) -> Assigned:
        told = {"u": unit, "p": row.policy, "s": row.snapshot, "q": row.propensity, "n": row.number}
        token = self._signer.sign(TOKEN, told, lasts=self.books.terms.window)
        text = f'{self._openings[row.policy]}{row.propensity!r},"token":"{token}"}}'
        config = self._configs[row.policy]
        return Assigned(self.policies[row.policy], config, row.propensity, token, text)

    def _config(self, policy: int, unit: str, context: Any) -> Mapping[str, Any]:
        """A policy's definition, and what it chooses for the unit where it is a learned one."""
        config = self._configs[policy]
        if self._choices is None:
            return config
        found = self._choices.of(self.policies[policy], unit, context)
        return config if found is None else {**config, "chosen": found}

    def _choosing(self, given: Assigned, unit: str, context: Any, chosen: bool) -> Assigned:
        """The same with where the unit's prompt is drawn and, if asked for, the prompt."""
        assert self._choices is not None
        at = self._choices.at(given.policy, unit)
        if at is None or not chosen:
            return replace(given, at=at)
        config = self._config(self.policies.index(given.policy), unit, context)
        told = {
            "policy": given.policy,
            "config": config,
            "propensity": given.propensity,
            "token": given.token,
        }
        return replace(given, at=at, config=config, text=canonical(told))

    async def _settle(self, request: Request) -> Settled:
        """What becomes of it, once that is on disk; a refusal is raised."""
        self._begin()
        future: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        settled = await future
        if isinstance(settled, BestPolicyError):
            raise settled
        return settled

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            requests = [request for request, _ in batch]
            settled: list[Settled]
            try:
                settled = await loop.run_in_executor(self._thread, self.books.settle, requests)
            except StoreError as error:
                settled = [error] * len(batch)
            except Exception as error:  # a defect must not leave anybody waiting
                log.error("a defect: %s", type(error).__name__)
                settled = [StoreError("nothing of this was recorded")] * len(batch)
            for (_, future), said in zip(batch, settled, strict=True):
                if not future.done():  # whoever asked has gone
                    future.set_result(said)
            if monotonic() - self._turned > TURN:
                await self._turn()

    async def _turn(self) -> bool:
        """Turn the books; whether more is to be read."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self.books.turn, MOST)
        except StoreError as error:
            log.error("%s: %s", type(error).__name__, error)
            return False
        finally:
            self._turned = monotonic()

    def _begin(self) -> None:
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        """Turn also while nobody asks, since windows pass."""
        rest = min(REST, self.books.terms.window / 2)
        while True:
            await asyncio.sleep(rest)
            while monotonic() - self._turned >= rest and await self._turn():
                self._turned = 0.0
