"""What a page may send: one JSON object a frame, of these shapes and no others."""

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from flowground.core.caller import SESSION_ID_CHARS
from flowground.core.errors import InvalidRequest
from flowground.core.messages import Decision
from flowground.core.values import MOST_LEVELS, has_too_many_levels
from flowground.store.runs.feedback import RatingValue

_Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
_SessionId = Annotated[str, Field(min_length=1, max_length=SESSION_ID_CHARS)]
SentTweaks = dict[str, dict[str, Any]]

_MOST_PARTS = 5_000
"""Most values of one frame, however they are nested. A hundred thousand block the loop for 140 ms to be parsed, and far
longer if each of them is a mistake."""


class UnreadableFrame(InvalidRequest):
    """Not a JSON object, or one with too many parts or levels: no page of ours sends such a frame."""

    def __init__(self, says: str = "That was no JSON object.") -> None:
        super().__init__(says)


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ResumePoint(_Frame):
    """The last event of a running answer that the page has."""

    run: _Id
    number: int = Field(ge=1, le=2**53)


class OpenFrame(_Frame):
    """Shows a conversation; one with a new id is empty. `after`: how far the page came before its socket was cut."""

    type: Literal["open"]
    session: _SessionId
    after: ResumePoint | None = None
    tweaks: SentTweaks = Field(default_factory=dict)


class TweaksFrame(_Frame):
    """Sets the overrides of the messages to come. The answer says what is off, and whether messages are kept."""

    type: Literal["tweaks"]
    tweaks: SentTweaks = Field(default_factory=dict)


class _AskingFrame(_Frame):
    """`id` is the page's own name for the message, which later frames repeat."""

    id: _Id
    session: _SessionId
    tweaks: SentTweaks = Field(default_factory=dict)


class SayFrame(_AskingFrame):
    """Asks the flow. `id` is the page's own name for the message, which later frames repeat. `files` are ids."""

    type: Literal["say"]
    text: str
    files: tuple[_Id, ...] = Field((), max_length=50)


class AgainFrame(_AskingFrame):
    """Asks a question again: `message` is it, or an answer to it. The earlier question stays as another version."""

    type: Literal["again"]
    message: _Id


class EditFrame(_AskingFrame):
    """Asks this text instead of the question `message`, which stays as another version."""

    type: Literal["edit"]
    message: _Id
    text: str


class _MessageFrame(_Frame):
    session: _SessionId
    message: _Id


class ChooseFrame(_MessageFrame):
    """Shows this version of a question, and the messages that follow it, instead of the current version."""

    type: Literal["choose"]


class StopFrame(_Frame):
    """Ends the run; without `run`, the current one, also while it waits to begin."""

    type: Literal["stop"]
    run: _Id | None = None


class DecideFrame(_Frame):
    """Allows or refuses a tool call that waits. `call`: its number in the run; `digest`: as its frame has it."""

    type: Literal["decide"]
    run: _Id
    call: int = Field(ge=1, le=2**31)
    digest: _Id
    decision: Decision


class StepsFrame(_MessageFrame):
    """Asks for the steps of this answer."""

    type: Literal["steps"]


class EarlierFrame(_Frame):
    """Asks for the messages before this one."""

    type: Literal["earlier"]
    session: _SessionId
    before: _Id


class RateFrame(_MessageFrame):
    """Rates an answer; None takes the rating back."""

    type: Literal["rate"]
    value: RatingValue | None


ClientFrame = (
    OpenFrame
    | TweaksFrame
    | SayFrame
    | AgainFrame
    | EditFrame
    | ChooseFrame
    | StopFrame
    | DecideFrame
    | StepsFrame
    | EarlierFrame
    | RateFrame
)
_FRAMES: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="type")])


def read_frame(text: str) -> ClientFrame:
    """Parses a frame. Raises UnreadableFrame if it is no JSON object, InvalidRequest for an object of another shape."""
    if _has_too_many_parts(text):
        raise UnreadableFrame("That had too many parts.")
    try:
        sent = orjson.loads(text)
    except ValueError:
        raise UnreadableFrame from None
    if not isinstance(sent, dict):
        raise UnreadableFrame
    if _count_parts(text) > MOST_LEVELS and has_too_many_levels(sent):
        raise UnreadableFrame("That had too many levels.")
    try:
        return _FRAMES.validate_python(sent)
    except ValidationError as error:
        raise InvalidRequest(_describe(error), hint="Reload the page.") from None


def _has_too_many_parts(text: str) -> bool:
    """Counts commas and brackets outside of strings, before the text is parsed."""
    if _count_parts(text) <= _MOST_PARTS:
        return False
    bare = text.replace(r"\\", "").replace(r"\"", "")
    if bare.count('"') > 4 * _MOST_PARTS:
        return True
    return _count_parts("".join(bare.split('"')[::2])) > _MOST_PARTS


def _count_parts(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")


def find_id(text: str) -> str | None:
    """The page's name for the message in a frame that was refused."""
    try:
        sent = orjson.loads(text)
    except ValueError:
        return None
    name = sent.get("id") if isinstance(sent, dict) else None
    return name if isinstance(name, str) and len(name) <= 64 else None


def _describe(error: ValidationError) -> str:
    """Names the first mistake, without the value that was sent."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(str(part)[:64] for part in first["loc"][1:]) or "type"
    return f"This page sent something that the server does not know: {place}."
