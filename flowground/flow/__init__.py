"""What a flow file may say. Component fields are kept raw: their component types validate them (see `wiring`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from flowground.errors import Problem
from flowground.flow.knowledge import KnowledgeSection, KnowledgeSections
from flowground.flow.tests import MOST_TESTS, FlowTest
from flowground.media_types import check_pattern
from flowground.yaml_file.colors import Color
from flowground.yaml_file.document import Place, Position
from flowground.yaml_file.section import Section

ShortText = Annotated[str, Field(min_length=1, max_length=200)]
Emoji = Annotated[str, Field(pattern=r"^[^\x00-\x7f]{1,8}$")]


class ChatSection(Section):
    """How the flow looks, and greets people, in its playground; `title` and `notice` are for the shareable one."""

    title: ShortText | None = Field(None, description="What visitors read on top; the flow's name when left out.")
    icon: Emoji | None = Field(None, description="One emoji before the title.")
    accent: Color | None = Field(
        None,
        description='The colour of buttons and links in the chat, in quotes, like `"#0b7a4b"`, dark enough for white '
        "text; links on a dark page are a lighter shade of it. The organization's colour when left out.",
    )
    notice: str = Field("", max_length=1000, description="Small print below the title, as Markdown.")
    welcome: str = Field("", description="Shown before the first message, as Markdown.")
    accepts: tuple[Annotated[str, AfterValidator(check_pattern)], ...] = Field(
        (),
        max_length=30,
        description="Kinds of files that may be sent with a message, like `[image/*, application/pdf]`, in quotes "
        '`["*/*"]` for all; none when left out. What a file is, its bytes decide.',
    )
    file_bytes: int | None = Field(
        None,
        ge=1,
        description="Largest file that may be sent with a message, in bytes; config.yaml bounds it in any case.",
    )
    starters: tuple[ShortText, ...] = Field((), max_length=12, description="Messages to begin with, one click each.")
    show_tools: bool = Field(
        False,
        description="Whether all who chat see what tools were called with and what they gave; left out: authors do, "
        "and everybody else their names.",
    )

    show_sources: bool = Field(
        True,
        description="Whether the passages that were looked up stand below an answer also where it does not cite them, "
        "those of an agent's tools where `show_tools` says so.",
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_a_comment(cls, given: Any) -> Any:
        """`accent: #0b7a4b` without quotes says nothing to YAML, and much to its author."""
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
        None,
        description="Whether the playground asks people for it, beside their message; left out: for the text of a "
        "Text Input, and for nothing else.",
    )
    required: bool = Field(
        False, description="Whether no run begins as long as it is empty. For what the playground asks people for."
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
        description="The only fields callers may override, protected ones too. Left out: authors, and their tokens "
        "that may set fields, override every field that is neither connected nor protected, and members none.",
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
        "", max_length=1000, description="What the step is there for, for people who read the flow."
    )
    when: str = Field(
        "",
        max_length=1000,
        description="What the step needs to run beside what its fields refer to, and takes nothing of: a reference, "
        "such as `${Route.other}`, or a join.",
    )
    on_error: Literal["fail", "continue"] = Field(
        "fail",
        description="`continue`: when the component fails, the run goes on with `fallback`. Of components that ask "
        "somebody else, such as a model.",
    )
    fallback: Any = Field(
        None, description="What stands on the component's first output then; empty of its kind when left out."
    )

    @property
    def goes_on(self) -> bool:
        """Whether the run goes on when the component fails."""
        return self.on_error == "continue"


_NO_STEP = StepSection()
WHEN = "step.when"
"""Where a component's `when` stands among the fields that references fill."""


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """One component as its file says it. `fields` are raw, without `type`, `display_name` and `step`.

    `places` has where each of them stands, and `step.on_error`, … too.
    """

    id: str
    type: str
    display_name: str | None
    fields: Mapping[str, Any]
    position: Position
    places: Mapping[str, Place]
    step: StepSection = _NO_STEP

    def find_place(self, field: str, offset: int) -> Position:
        """Where a character of a field's text stands, or of `step.when`."""
        return self.places[field].find_position(self.step.when if field == WHEN else self.fields[field], offset)


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow file. `version` is 12 hex digits of its content's hash, `file` the file's name without its folder.

    `places` says where `id`, `api.endpoint_name`, `api.overridable.0`, … and all of `tests` stand. `warnings` are what
    its author should change although it works, in the file's order. With `mistakes` it cannot run: what they are
    about is left out.
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
    places: Mapping[str, Place]
    warnings: tuple[Problem, ...] = ()
    mistakes: tuple[Problem, ...] = ()
    knowledge: Mapping[str, KnowledgeSection] = field(default_factory=dict)
