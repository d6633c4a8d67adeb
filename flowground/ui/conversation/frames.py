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
"""Values of one frame, whatever lies in what. A hundred thousand keep the loop for a quarter of a second: 140 ms to be
read, and far more where each of them is a mistake."""


class UnreadableFrame(InvalidRequest):
    """No JSON object at all, or one of countless parts or levels: what sends it is no page of ours."""

    def __init__(self, says: str = "That was no JSON object.") -> None:
        super().__init__(says)


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ResumePoint(_Frame):
    """The last event of a running answer that the page has."""

    run: _Id
    number: int = Field(ge=1, le=2**53)


class OpenFrame(_Frame):
    """Shows a conversation; a new id is an empty one. `after` says how far a page has come that was cut off."""

    type: Literal["open"]
    session: _SessionId
    after: ResumePoint | None = None
    tweaks: SentTweaks = Field(default_factory=dict)


class TweaksFrame(_Frame):
    """What is said from now on has these overrides: what is switched off, and what is kept, is told anew."""

    type: Literal["tweaks"]
    tweaks: SentTweaks = Field(default_factory=dict)


class SayFrame(_Frame):
    """Asks the flow. `id` is the page's own name for it, by which it learns what became of it. `files` are ids."""

    type: Literal["say"]
    id: _Id
    session: _SessionId
    text: str
    files: tuple[_Id, ...] = Field((), max_length=50)
    tweaks: SentTweaks = Field(default_factory=dict)


class AgainFrame(_Frame):
    """Asks once more what this message answers, or is; the question and what followed stay as another version."""

    type: Literal["again"]
    id: _Id
    session: _SessionId
    message: _Id
    tweaks: SentTweaks = Field(default_factory=dict)


class EditFrame(_Frame):
    """Asks this text in the place of this question, which stays as another version."""

    type: Literal["edit"]
    id: _Id
    session: _SessionId
    message: _Id
    text: str
    tweaks: SentTweaks = Field(default_factory=dict)


class ChooseFrame(_Frame):
    """Shows this version of a question, with what followed it, in the place of the one that is shown."""

    type: Literal["choose"]
    session: _SessionId
    message: _Id


class StopFrame(_Frame):
    """Ends the answer that is being written; without `run` also one that still waits."""

    type: Literal["stop"]
    run: _Id | None = None


class DecideFrame(_Frame):
    """Allows a call of a tool that waits, or refuses it; `call` is its number in the run, `digest` came with it."""

    type: Literal["decide"]
    run: _Id
    call: int = Field(ge=1, le=2**31)
    digest: _Id
    decision: Decision


class StepsFrame(_Frame):
    """Wants what went on inside for this answer."""

    type: Literal["steps"]
    session: _SessionId
    message: _Id


class EarlierFrame(_Frame):
    """Wants the messages before this one."""

    type: Literal["earlier"]
    session: _SessionId
    before: _Id


class RateFrame(_Frame):
    """Says how an answer was; None takes that back."""

    type: Literal["rate"]
    session: _SessionId
    message: _Id
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
    """Raises UnreadableFrame for no JSON object, InvalidRequest for one of another shape."""
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
    """Told by its commas and brackets, before anything is made of it. Those in strings do not count."""
    if _count_parts(text) <= _MOST_PARTS:
        return False
    bare = text.replace(r"\\", "").replace(r"\"", "")
    if bare.count('"') > 4 * _MOST_PARTS:
        return True
    return _count_parts("".join(bare.split('"')[::2])) > _MOST_PARTS


def _count_parts(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")


def find_id(text: str) -> str | None:
    """What the page calls the message in a frame that was refused."""
    try:
        sent = orjson.loads(text)
    except ValueError:
        return None
    name = sent.get("id") if isinstance(sent, dict) else None
    return name if isinstance(name, str) and len(name) <= 64 else None


def _describe(error: ValidationError) -> str:
    """The first mistake. What was sent is not sent back."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(str(part)[:64] for part in first["loc"][1:]) or "type"
    return f"This page sent something that the server does not know: {place}."
