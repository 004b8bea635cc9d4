"""What a study's YAML may say. Each field's description is the sentence that a wrong value gets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^\S(.{0,98}\S)?$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@]+(/\S*)?$")]
Env = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Call = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
CALL = "module:function, a Python function beside the YAML file or on the Python path"
MODEL = "a model: openai/NAME, local/smollm2, local/FOLDER or scripted/NAME"
BASE_URL = "the address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1"
KEY_ENV = "the name of the environment variable that holds the key"


class Section(BaseModel):
    """A mapping that has these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PolicyEntry(Section):
    """One policy, or with `matrix` every combination of its lists."""

    id: Name | None = Field(None, description="a name of 1 to 100 characters on one line")
    call: Call | None = Field(None, description=CALL)
    model: Text | None = Field(None, description=MODEL)
    prompt: str | None = Field(None, description="text with {{column}} places, or file://path")
    system: str | None = Field(
        None, description="a system prompt: text with {{column}} places, or file://path"
    )
    temperature: float | None = Field(
        None, ge=0, le=2, allow_inf_nan=False, description="a number between 0 and 2"
    )
    max_tokens: int | None = Field(
        None, ge=1, le=1_000_000, description="a whole number between 1 and 1000000"
    )
    base_url: Url | None = Field(None, description=BASE_URL)
    api_key_env: Env | None = Field(None, description=KEY_ENV)
    adapter: Text | None = Field(
        None, description="a folder with a LoRA adapter, for a model of local/"
    )
    learned: Text | None = Field(None, description="a file that `bestpolicy learn` has written")
    prompts: Text | dict[str, str] | None = Field(
        None,
        description="a mapping of prompts' ids to texts, or a csv or jsonl file with columns id "
        "and prompt",
    )
    matrix: dict[str, Annotated[list[Any], Field(min_length=1)]] | None = Field(
        None, min_length=1, description="a mapping of keys to lists with at least one value each"
    )


class LlmJudge(Section):
    """A model that says which of two answers is better."""

    model: Text = Field(description=MODEL)
    question: Text = Field("Which answer is better?", description="the question that is put")
    base_url: Url | None = Field(None, description=BASE_URL)
    api_key_env: Env | None = Field(None, description=KEY_ENV)
    temperature: float = Field(
        0.0, ge=0, le=2, allow_inf_nan=False, description="a number between 0 and 2"
    )


class CheckJudge(Section):
    """Exactly one way to score an answer by itself; the higher score wins, equal ones tie."""

    exact: Text | None = Field(
        None, description="a column of the inputs, which the answer must equal"
    )
    regex: Text | None = Field(
        None,
        description="a regular expression to be found in the answer; {{column}} places are filled",
    )
    json_schema: str | dict[str, Any] | None = Field(
        None, description="a JSON Schema, or the file that holds it, for an answer in JSON"
    )
    reasoning_gym: Text | None = Field(
        None, description="the name of a reasoning-gym task, whose verifier scores"
    )
    call: Call | None = Field(None, description=f"{CALL}, which scores (row, text) in [0, 1]")


class HumanJudge(Section):
    """People: `serve` shows them two answers on a page; a run makes answers ready for Python."""

    queue: int = Field(20, ge=1, le=1000, description="a whole number between 1 and 1000")
    question: Text | None = Field(None, description="the question that is put")
    gold: str | list[dict[str, Any]] | None = Field(
        None, description="pairs whose better answer is known: a csv, jsonl or parquet file, or a "
        "list of mappings, with left, right, winner and perhaps input"
    )  # fmt: skip
    gold_share: float = Field(
        0.05, ge=0, le=0.5, allow_inf_nan=False, description="a number between 0 and 0.5"
    )
    overlap: float = Field(
        0.05, ge=0, le=0.5, allow_inf_nan=False, description="a number between 0 and 0.5"
    )


class LiveJudge(Section):
    """Live traffic: units are assigned to policies, and what they give back is the answer."""

    by: Literal["reward", "winner"] = Field("reward", description="reward or winner")
    window_minutes: float = Field(
        60.0, gt=0, le=10**6, allow_inf_nan=False, description="a number above 0"
    )
    missing: Literal["skip"] | Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        "skip", description="skip, or the reward in [0, 1] of a unit that gave no feedback"
    )
    explore: float = Field(
        0.1, gt=0, le=1, allow_inf_nan=False, description="a number above 0, at most 1"
    )
    log_context: bool = Field(False, description="true or false")


class JudgeSection(Section):
    """Who says which of two answers is better: exactly one of the first six."""

    call: Call | None = Field(None, description=CALL)
    llm: LlmJudge | None = Field(None, description="a mapping with `model` and perhaps `question`")
    check: CheckJudge | None = Field(
        None, description="a mapping with one of exact, regex, json_schema, reasoning_gym, call"
    )
    human: HumanJudge | None = Field(None, description="a mapping, perhaps with `queue`, or {}")
    replay: Text | None = Field(
        None, description="a csv or jsonl file of votes with columns left, right, winner"
    )
    live: LiveJudge | None = Field(None, description="a mapping, perhaps with `by`, or {}")
    order: Literal["both", "random"] = Field("both", description="both or random")
    canaries: float = Field(
        0.0, ge=0, le=1, allow_inf_nan=False, description="a number between 0 and 1"
    )


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
    usd: float | None = Field(
        None, gt=0, le=10**9, allow_inf_nan=False, description="a number above 0"
    )
    minutes: float | None = Field(
        None, gt=0, le=10**6, allow_inf_nan=False, description="a number above 0"
    )


class PriceSection(Section):
    """US dollars per million tokens."""

    input: float = Field(ge=0, allow_inf_nan=False, description="a number of at least 0")
    output: float = Field(ge=0, allow_inf_nan=False, description="a number of at least 0")


class TermsSection(Section):
    """How one model may be used."""

    concurrency: int = Field(16, ge=1, le=1024, description="a whole number between 1 and 1024")
    requests_per_minute: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="a number above 0"
    )
    timeout_s: float = Field(
        60.0, gt=0, le=3600, allow_inf_nan=False, description="a number above 0, at most 3600"
    )
    price: PriceSection | None = Field(
        None, description="a mapping with `input` and `output`, dollars per million tokens"
    )


class ConstraintSection(Section):
    """What a policy must keep to on average; one that is proven not to leaves."""

    metric: Literal["cost_usd", "latency_s", "failure_rate"] = Field(
        description="cost_usd, latency_s or failure_rate"
    )
    max: float = Field(ge=0, allow_inf_nan=False, description="a number of at least 0")
    check: CheckJudge | None = Field(
        None, description="a mapping with one of exact, regex, json_schema, reasoning_gym, call"
    )


class StudySection(Section):
    """The whole file."""

    version: Literal[1] = Field(description="1, the only version of this file format")
    name: Name | None = Field(None, description="a name of 1 to 100 characters on one line")
    inputs: str | list[str | dict[str, Any]] | None = Field(
        None, description="a csv, jsonl or parquet file, or a list of texts or mappings"
    )
    policies: list[PolicyEntry] = Field(
        min_length=1,
        description="a list of policies, each with `call`, or `model` and `prompt`, or `model`, "
        "`learned` and `prompts`",
    )
    judge: JudgeSection = Field(
        description="a mapping with exactly one of llm, call, check, human, live, replay"
    )
    models: dict[str, TermsSection] = Field(
        {}, description="a mapping of models to price, requests_per_minute and the like"
    )
    constraints: list[ConstraintSection] = Field(
        [], description="a list of mappings with `metric` and `max`"
    )
    design: DesignSection = Field(DesignSection(), description="a mapping with `name`")
    decide: DecideSection = Field(
        DecideSection(), description="a mapping with `confidence` and the like"
    )
    budget: BudgetSection = Field(
        BudgetSection(), description="a mapping with `comparisons`, `usd` or `minutes`"
    )
    store: str | None = Field(None, description="sqlite:///path or postgresql://user@host/database")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="a whole number of at least 0")
    workers: int = Field(1, ge=1, le=256, description="a whole number between 1 and 256")
