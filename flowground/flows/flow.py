"""What a flow file may hold, as models: the flow, its components, its tests; and the outcomes of those tests.

Fields of components are kept raw here: their component types validate them (see `wiring`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from flowground.core.errors import Problem
from flowground.core.media_types import check_pattern
from flowground.core.words import join_words
from flowground.core.yaml_file import Color, Position, Section, SourceLocation
from flowground.knowledge.section import KnowledgeSection, KnowledgeSections

MOST_TESTS = 200
_MOST_TURNS = 50
_MOST_WORDS = 50
_MOST_ASKED = 1_000_000_000
ShortText = Annotated[str, Field(min_length=1, max_length=200)]
Emoji = Annotated[str, Field(pattern=r"^[^\x00-\x7f]{1,8}$")]
WHEN = "step.when"
"""The key under which a component's `step.when` stands among its connected fields."""


def _take_one(given: Any) -> Any:
    return (given,) if isinstance(given, str | dict) else given


ExpectedTexts = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_take_one, json_schema_input_type=tuple[str, ...] | str),
    Field(max_length=_MOST_WORDS),
]
"""A list of texts; a single text may be written without the list."""


ExpectedArguments = Annotated[
    tuple[dict[str, Any], ...],
    BeforeValidator(_take_one, json_schema_input_type=tuple[dict[str, Any], ...] | dict[str, Any]),
    Field(max_length=_MOST_WORDS),
]
"""A list of arguments by name; a single mapping may be written without the list."""


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
        (), description="Texts that stand in the reason why the turn fails, all of them. Left out: it does not fail."
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
        """The name that people read: the test's own, or one made of its message."""
        return self.name or self.list_turns()[0].message or "The flow's own input"

    def list_turns(self) -> tuple[TestedTurn, ...]:
        """Its turns, at least one."""
        return self.turns or (self,)


class ChatSection(Section):
    """How the flow looks, and greets people, in its playground; `title` and `notice` are for the shareable one."""

    title: ShortText | None = Field(None, description="The title for visitors; the flow's name when left out.")
    icon: Emoji | None = Field(None, description="One emoji before the title.")
    accent: Color | None = Field(
        None,
        description='The colour of buttons and links, dark enough for white text, in quotes like `"#0b7a4b"`; the '
        "organization's when left out.",
    )
    notice: str = Field("", max_length=1000, description="Small print below the title, as Markdown.")
    welcome: str = Field("", description="Shown before the first message, as Markdown.")
    accepts: tuple[Annotated[str, AfterValidator(check_pattern)], ...] = Field(
        (),
        max_length=30,
        description='Kinds of files that people may send, like `[image/*, application/pdf]`; `["*/*"]` for all, '
        "none when left out.",
    )
    file_bytes: int | None = Field(
        None, ge=1, description="Largest file of a message, in bytes; config.yaml bounds it too."
    )
    starters: tuple[ShortText, ...] = Field((), max_length=12, description="Messages to begin with, one click each.")
    show_tools: bool = Field(
        False, description="Whether everybody sees the arguments and results of tools; else only authors do."
    )

    show_sources: bool = Field(
        True,
        description="Whether passages that the answer does not cite are shown below it; those of an agent's tools "
        "only with `show_tools`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_a_comment(cls, given: Any) -> Any:
        """Explains that `accent: #0b7a4b` without quotes is a comment in YAML, not a color."""
        return given | {"accent": ""} if isinstance(given, dict) and given.get("accent", "") is None else given


class Overridable(Section):
    """A field that callers may override; in the file the plain text `Component.field` is enough."""

    field: str = Field(description="`Component.field`, for example `Model.temperature`.")
    min: float | None = Field(None, description="The least value a caller may give.")
    max: float | None = Field(None, description="The greatest value a caller may give.")
    choices: tuple[str | bool | int | float, ...] | None = Field(
        None, min_length=1, description="The only values a caller may give."
    )
    ask: bool | None = Field(
        None, description="Whether the playground asks people for it; left out: only for the text of a Text Input."
    )
    required: bool = Field(
        False, description="Whether no run begins while it is empty; only of what the playground asks for."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_plain_text(cls, given: Any) -> Any:
        return {"field": given} if isinstance(given, str) else given


class ApiSection(Section):
    """How programs reach the flow."""

    endpoint_name: str | None = Field(None, description="A second address beside the id.")
    overridable: tuple[Overridable, ...] | None = Field(
        None,
        description="The only fields that callers may override, protected ones too. Left out: authors, and their "
        "tokens that may set fields, override all that is neither connected nor protected; members none.",
    )


class Header(Section):
    """All that a flow file says beside its components."""

    id: str | None = Field(None, description="The flow's address; the file's name without its ending when left out.")
    name: ShortText | None = Field(None, description="What people read; made from the id when left out.")
    description: str = Field("", description="One sentence for the gallery.")
    owners: tuple[ShortText, ...] | None = Field(
        None,
        description="Members, by id, who may publish and edit the flow besides admins; every author when left out.",
    )
    chat: ChatSection = ChatSection()
    api: ApiSection = ApiSection()
    knowledge: KnowledgeSections = Field(
        default_factory=dict, description="In which files the flow looks things up, by a name of your own."
    )
    tests: tuple[FlowTest, ...] = Field(
        (), max_length=MOST_TESTS, description="What `python -m flowground test` says to the flow, and expects of it."
    )


class StepSection(Section):
    """What every component may have: what it is there for, and what happens when it fails."""

    description: str = Field(
        "", max_length=1000, description="What the step does, for people who read the flow, and for an agent's model."
    )
    when: str = Field(
        "",
        max_length=1000,
        description="A reference, such as `${Route.other}`, or a join, that must be there for the step to run.",
    )
    on_error: Literal["fail", "continue"] = Field(
        "fail",
        description="`continue`: after a failure the run goes on with `fallback`. Only of components that ask "
        "others, such as a model.",
    )
    fallback: Any = Field(
        None, description="The value of the component's first output after a failure; empty when left out."
    )

    @property
    def goes_on(self) -> bool:
        """Whether the run goes on when the component fails."""
        return self.on_error == "continue"


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """One component as its file has it. `fields` are raw, without `type`, `display_name` and `step`.

    `places` has the place of each field, and of `step.on_error` and its like.
    """

    id: str
    type: str
    display_name: str | None
    fields: Mapping[str, Any]
    position: Position
    places: Mapping[str, SourceLocation]
    step: StepSection

    def find_place(self, field: str, offset: int) -> Position:
        """The position of a character in the text of a field or of `step.when`."""
        return self.places[field].find_position(self.step.when if field == WHEN else self.fields[field], offset)


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow file. `version` is 12 hex digits of its content's hash, `file` the file's name without its folder.

    `places` has the places of `id`, `api.endpoint_name`, `api.overridable.0`, … and of everything in `tests`.
    `warnings` are what the author should change in a flow that works, in the file's order. A flow with `mistakes`
    cannot run; it lacks what the mistakes are about.
    """

    id: str
    name: str
    description: str
    owners: tuple[str, ...] | None
    components: Mapping[str, ComponentSpec]
    chat: ChatSection
    api: ApiSection
    tests: tuple[FlowTest, ...]
    version: str
    file: str
    places: Mapping[str, SourceLocation]
    warnings: tuple[Problem, ...] = ()
    mistakes: tuple[Problem, ...] = ()
    knowledge: Mapping[str, KnowledgeSection] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference from what a test expects. `about` is the expectation's key, "" where the turn failed; `lines` show
    the actual result.
    """

    about: str
    says: str
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.about}: {self.says}" if self.about else self.says


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """One turn of a test: its message, and how the result differs from what was expected."""

    message: str | None
    seconds: float
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class FlowTestOutcome:
    """The outcome of one test: its turns, up to the first that differs, out of `wanted`. `line` is the test's line in
    `file`.
    """

    flow_id: str
    file: str
    line: int
    title: str
    wanted: int
    turns: tuple[TurnOutcome, ...]

    @property
    def is_passed(self) -> bool:
        """Whether every turn ran and nothing differed."""
        return not self.turns[-1].differences

    @property
    def seconds(self) -> float:
        """The duration of all turns together."""
        return sum(turn.seconds for turn in self.turns)


@dataclass(frozen=True, slots=True)
class FlowTestReport:
    """The outcomes of all tests of one version of a flow."""

    version: str
    outcomes: Sequence[FlowTestOutcome]
