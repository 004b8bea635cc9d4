"""From a checked file to players and a judge: functions imported, models made, votes read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bestpolicy.config.calls import CallFault, resolve
from bestpolicy.config.choosing import Choosing
from bestpolicy.config.places import Fault, FaultyFile, Keys
from bestpolicy.config.schema import CheckJudge, TermsSection
from bestpolicy.config.sources import SourceFault, read_rows
from bestpolicy.config.study_file import StudyFile
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.talk import Model, Prompt
from bestpolicy.llm import checks
from bestpolicy.llm.checks import Check
from bestpolicy.llm.judges import CheckJudge as Checked
from bestpolicy.llm.judges import FunctionJudge, LlmJudge, People
from bestpolicy.llm.models import make
from bestpolicy.llm.named import Named
from bestpolicy.llm.players import Called, Player, Prompted
from bestpolicy.llm.scripted import ScriptedModel
from bestpolicy.llm.terms import Price, Terms
from bestpolicy.llm.votes import Votes, read_votes

Referee = LlmJudge | FunctionJudge | Checked | People | Votes


@dataclass(frozen=True, slots=True)
class Players:
    """Who plays a study: who answers, who judges, and what a policy must keep to."""

    answers: Mapping[str, Player]
    judge: Referee
    checks: tuple[Check | None, ...]  # of each constraint
    models: tuple[Model, ...]

    def close(self) -> None:
        for model in self.models:
            with suppress(Exception):  # nothing that closing says is worth an answer
                model.close()


Make = Callable[[Named, Path, Terms, Mapping[str, str]], Model]


def connect(file: StudyFile, *, made: Make = make) -> Players:
    """Import the functions that the file names, and make its models."""
    making = _Making(file, made)
    try:
        players = making.players()
        if making.faults:
            raise FaultyFile(file.page.path, making.faults)
        return players
    except BaseException:
        for model in making.models.values():
            model.close()
        raise


class _Making:
    """One pass over the file; all that is wrong is told at once."""

    def __init__(self, file: StudyFile, made: Make) -> None:
        self.file = file
        self.made = made
        self.faults: list[Fault] = []
        self.models: dict[Named, Model] = {}

    def players(self) -> Players:
        answers = {
            policy.id: player
            for policy in self.file.policies
            if (player := self._player(policy.id)) is not None
        }
        judge = self._judge()
        limits = tuple(
            None if limit.check is None else self._check(("constraints", i, "check"), limit.check)
            for i, limit in enumerate(self.file.section.constraints)
        )
        self._priced()
        return Players(answers, judge, limits, tuple(self.models.values()))

    def _player(self, name: str) -> Player | None:
        policy = next(policy for policy in self.file.policies if policy.id == name)
        section = policy.section
        if section.call is not None:
            function = self._function((*policy.keys, "call"), section.call, ("row",))
            return Called(function)
        if policy.named is None:  # the answers were recorded elsewhere
            return None
        model = self._model((*policy.keys, "model"), policy.named)
        draws = (section.system, section.temperature, section.max_tokens)
        if policy.chooser is not None:
            texts = policy.prompts
            return Choosing(model, policy.named, "", *draws, chooser=policy.chooser, texts=texts)
        return Prompted(model, policy.named, section.prompt or "", *draws)

    def _judge(self) -> Referee:
        section = self.file.section.judge
        if section.llm is not None:
            llm = section.llm
            named = Named(llm.model, llm.base_url, llm.api_key_env)
            return LlmJudge(
                self._model(("judge", "llm", "model"), named), named, llm.question, llm.temperature
            )
        if section.check is not None:
            return Checked(self._check(("judge", "check"), section.check))
        if section.human is not None:
            return People(section.human.queue)
        if section.live is not None:
            return People(0)  # whoever uses the answers judges them
        if section.replay is not None:
            try:
                rows = read_rows(section.replay, self.file.page.folder)
                policies = [policy.id for policy in self.file.policies]
                return read_votes(rows, policies, self.file.rows, self.file.section.seed)
            except (SourceFault, ConfigError) as error:
                self._fault(("judge", "replay"), f"{section.replay}: {error}")
                return People(1)
        arguments = ("row", "left", "right")
        return FunctionJudge(self._function(("judge", "call"), section.call or "", arguments))

    def _check(self, keys: Keys, section: CheckJudge) -> Check:
        try:
            if (plain := plain_check(section)) is not None:
                return plain
            if section.reasoning_gym is not None:
                return checks.reasoning_gym(section.reasoning_gym)
        except ConfigError as error:
            self._fault(keys, str(error))
            return checks.exact("")  # stands in until the faults are told
        name = section.call or ""
        return checks.scored(self._function((*keys, "call"), name, ("row", "text")))

    def _function(self, keys: Keys, name: str, arguments: tuple[str, ...]) -> Callable[..., Any]:
        try:
            return resolve(name, self.file.page.folder, arguments)
        except CallFault as error:
            self._fault(keys, str(error))
            return print

    def _model(self, keys: Keys, named: Named) -> Model:
        """The model of that name, made once; terms of `models` are looked up by its name."""
        if named not in self.models:
            terms = _terms(self.file.section.models.get(named.name, TermsSection()))
            try:
                self.models[named] = self.made(named, self.file.page.folder, terms, os.environ)
            except ConfigError as error:
                self._fault(keys, str(error))
                return ScriptedModel("scripted/echo")  # stands in until the faults are told
        return self.models[named]

    def _priced(self) -> None:
        """A cap in dollars needs the price of every model: what has none cannot be reserved."""
        if self.file.section.budget.usd is None:
            return
        for named, model in self.models.items():
            if model.most_usd(Prompt("")) is None:
                self._fault(
                    ("budget", "usd"),
                    f"needs the price of {named.name}, which is not known: give it as models: "
                    f"{{{named.name}: {{price: {{input: …, output: …}}}}}}, in dollars per "
                    "million tokens",
                )

    def _fault(self, keys: Keys, message: str) -> None:
        self.faults.append(self.file.page.fault(keys, message))


def plain_check(section: CheckJudge) -> Check | None:
    """The check, if it needs no code but ours."""
    if section.exact is not None:
        return checks.exact(section.exact)
    if section.regex is not None:
        return checks.regex(section.regex)
    if isinstance(section.json_schema, dict):
        return checks.json_schema(section.json_schema)
    return None


def _terms(section: TermsSection) -> Terms:
    price = None if section.price is None else Price(section.price.input, section.price.output)
    return Terms(section.concurrency, section.requests_per_minute, section.timeout_s, price=price)
