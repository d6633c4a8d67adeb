"""`tests:` of a flow file: what is said to the flow, and what is expected of its answer and of its way there."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from flowground.words import join_words
from flowground.yaml_file.section import Section

MOST_TESTS = 200
_MOST_TURNS = 50
_MOST_WORDS = 50
_MOST_ASKED = 1_000_000_000


def _take_one(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


def _take_one_call(given: Any) -> Any:
    return (given,) if isinstance(given, dict) else given


ExpectedTexts = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_take_one, json_schema_input_type=tuple[str, ...] | str),
    Field(max_length=_MOST_WORDS),
]
"""A list of texts; one may stand by itself."""
ExpectedArguments = Annotated[
    tuple[dict[str, Any], ...],
    BeforeValidator(_take_one_call, json_schema_input_type=tuple[dict[str, Any], ...] | dict[str, Any]),
    Field(max_length=_MOST_WORDS),
]
"""A list of arguments by their names; one call's may stand by themselves."""


class Expectation(Section):
    """What is expected of one turn; all of it must be so. Without any, that the turn does not fail."""

    model_config = ConfigDict(validate_by_alias=True, validate_by_name=False)

    equals: str | None = Field(None, description="The whole answer, but for blank ends.")
    contains: ExpectedTexts = Field((), description="Texts that stand somewhere in the answer, all of them.")
    matches: ExpectedTexts = Field(
        (), description="Regular expressions of which the answer has something somewhere, each of them; Rust's words."
    )
    data: Any = Field(None, description="What the answer is as data: records, a list, an object; of a text, its JSON.")
    cites: ExpectedTexts = Field(
        (),
        description="Sources that the answer cites, each by its path or the end of that: `handbook.pdf`. "
        "Each number that it cites is of a passage then.",
    )
    answer_schema: dict[str, Any] | None = Field(
        None, alias="schema", description="The JSON Schema that the answer fits, which is JSON."
    )
    fails: ExpectedTexts = Field(
        (),
        description="Texts that stand in the reason why the turn fails, all of them. Left out: it does not fail.",
    )
    takes: ExpectedTexts = Field((), description="Components that run, by id; of inner flows: `flow.Component`.")
    skips: ExpectedTexts = Field((), description="Components that do not run, by id; of inner flows: in no run of it.")
    calls: dict[str, Annotated[int, Field(ge=0, le=_MOST_ASKED)]] = Field(
        {}, description="How often components ask a model, by id: `{Route: 1}`."
    )
    arguments: dict[str, ExpectedArguments] = Field(
        {},
        description="What agents call tools with, by id: `{Books: {title: Emma}}` is among the arguments of a call; "
        "of a list, each of one.",
    )
    max_seconds: float | None = Field(None, gt=0, description="The longest time that the turn may take.")
    max_tokens: int | None = Field(
        None, ge=0, le=_MOST_ASKED, description="The most tokens that its models may read and write, all together."
    )

    @model_validator(mode="after")
    def _refuse_answer_of_a_failure(self) -> "Expectation":
        answered = {"equals", "contains", "matches", "cites", "data", "answer_schema"}
        if self.fails and (said := self.model_fields_set & answered):
            names = (type(self).model_fields[name].alias or name for name in sorted(said))
            raise ValueError(f"a turn that fails has no answer: leave out {join_words(names, 'and')}")
        return self


class TestedTurn(Section):
    """One message, what models answer where the flow asks them, and what is expected."""

    __test__ = False

    message: str | None = Field(None, description="What is said to the flow; the flow's own input when left out.")
    files: tuple[Annotated[str, Field(min_length=1, max_length=400)], ...] = Field(
        (), max_length=20, description="Files that are sent with it, by their paths in the folder of flows."
    )
    replies: dict[str, Any] = Field(
        {},
        description="What a model, an MCP server or an HTTP API answers to a component, by id: a text, a mapping that "
        "is given as JSON, or a list of them for one question after the other. A Python Function is given the value "
        "itself, an SQL the rows: a list of mappings. Other models are answered by `model`.",
    )
    expect: Expectation = Expectation()


class FlowTest(TestedTurn):
    """A test of the flow: one message, or several turns of one conversation."""

    name: str | None = Field(
        None, min_length=1, max_length=200, description="What people read; the message when left out."
    )
    overrides: dict[str, Any] = Field(
        {}, description="Fields that are changed, as tweaks: `{Model: {temperature: 0}}`."
    )
    model: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="`provider:model` that answers for every model of the flow; the scripted one when left out.",
    )
    turns: tuple[TestedTurn, ...] = Field(
        (), max_length=_MOST_TURNS, description="Several messages of one conversation, instead of one."
    )

    @model_validator(mode="after")
    def _refuse_both(self) -> "FlowTest":
        both = self.model_fields_set & {"message", "files", "replies", "expect"} if self.turns else ()
        if both:
            raise ValueError(f"with `turns`, each turn has its own {join_words(sorted(both), 'and')}")
        return self

    @property
    def title(self) -> str:
        """What people read."""
        return self.name or self.list_turns()[0].message or "The flow's own input"

    def list_turns(self) -> tuple[TestedTurn, ...]:
        """Its turns, at least one."""
        return self.turns or (self,)
