"""What a study's YAML may say. Each field's description is the sentence that a wrong value gets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^\S(.{0,98}\S)?$")]
Call = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
CALL = "module:function, a Python function beside the YAML file or on the Python path"


class Section(BaseModel):
    """A mapping that has these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PolicyEntry(Section):
    """One policy, or with `matrix` every combination of its lists."""

    id: Name | None = Field(None, description="a name of 1 to 100 characters on one line")
    call: Call | None = Field(None, description=CALL)
    model: str | None = Field(None, description="a model's name, such as scripted/echo")
    prompt: str | None = Field(None, description="text with {{column}} places, or file://path")
    temperature: float | None = Field(
        None, ge=0, le=2, allow_inf_nan=False, description="a number between 0 and 2"
    )
    max_tokens: int | None = Field(
        None, ge=1, le=1_000_000, description="a whole number between 1 and 1000000"
    )
    matrix: dict[str, Annotated[list[Any], Field(min_length=1)]] | None = Field(
        None, min_length=1, description="a mapping of keys to lists with at least one value each"
    )


class JudgeSection(Section):
    """Who says which of two answers is better."""

    call: Call = Field(description=CALL)
    order: Literal["both", "random"] = Field("both", description="both or random")


class DesignSection(Section):
    """What to compare next."""

    name: str = Field("llm-po", description="a design's name")
    structure: Literal["free", "bradley-terry", "features", "auto"] = Field(
        "free", description="free, bradley-terry, features or auto"
    )
    trust_structure: bool = Field(False, description="true or false")
    interactions: bool = Field(False, description="true or false")


class DecideSection(Section):
    """What counts as decided."""

    confidence: float = Field(
        0.95, gt=0.5, lt=1, allow_inf_nan=False, description="between 0.5 and 1"
    )
    indifference: float = Field(
        0.0, ge=0, lt=0.5, allow_inf_nan=False, description="at least 0 and below 0.5"
    )
    assume_winner: bool = Field(False, description="true or false")
    reuse_inputs: bool = Field(False, description="true or false")
    cluster: str | None = Field(None, min_length=1, description="a column of the inputs")
    sentinels: float = Field(
        0.0, ge=0, lt=0.5, allow_inf_nan=False, description="at least 0 and below 0.5"
    )
    reserve: float = Field(
        0.02, ge=0, lt=0.5, allow_inf_nan=False, description="at least 0 and below 0.5"
    )


class BudgetSection(Section):
    """When to give up."""

    comparisons: int | None = Field(
        None, ge=1, le=10**9, description="a whole number of at least 1"
    )
    minutes: float | None = Field(
        None, gt=0, le=10**6, allow_inf_nan=False, description="a number above 0"
    )


class StudySection(Section):
    """The whole file."""

    version: Literal[1] = Field(description="1, the only version of this file format")
    name: Name | None = Field(None, description="a name of 1 to 100 characters on one line")
    inputs: str | list[str | dict[str, Any]] | None = Field(
        None, description="a csv or jsonl file, or a list of texts or mappings"
    )
    policies: list[PolicyEntry] = Field(
        min_length=1,
        description="a list of policies, each with `call` or with `model` and `prompt`",
    )
    judge: JudgeSection = Field(description="a mapping with `call` and perhaps `order`")
    design: DesignSection = Field(DesignSection(), description="a mapping with `name`")
    decide: DecideSection = Field(
        DecideSection(), description="a mapping with `confidence` and the like"
    )
    budget: BudgetSection = Field(
        BudgetSection(), description="a mapping with `comparisons`, `minutes` or both"
    )
    store: str | None = Field(None, description="sqlite:///path")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="a whole number of at least 0")
    workers: int = Field(1, ge=1, le=256, description="a whole number between 1 and 256")


# Parts of the format that a later version will have. Using one is never silently ignored.
LATER: dict[tuple[str, ...], str] = {
    ("constraints",): "leave it out",
    ("budget", "usd"): "allowed: comparisons, minutes",
    ("judge", "llm"): "allowed: call",
    ("judge", "check"): "allowed: call",
    ("judge", "human"): "allowed: call",
    ("judge", "replay"): "allowed: call",
    ("policies", "base_url"): "allowed: model: scripted/echo, or call",
    ("policies", "api_key_env"): "allowed: model: scripted/echo, or call",
    ("policies", "adapter"): "allowed: model: scripted/echo, or call",
}
