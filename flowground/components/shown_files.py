"""Shows files to a model: pictures and PDFs unchanged where the model accepts them, all others as text with their name.

Texts are cut at the model's window, and notes for the user say what was cut. Files of earlier messages are shown again,
the newest first, in the part of the window that this message leaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flowground.components.base import Context, declare
from flowground.core.errors import RunError, SentFileFailed
from flowground.core.media_types import IMAGES
from flowground.core.messages import FilePart, Message, MessagePart, TextPart
from flowground.core.values import FileReference, PastMessage
from flowground.core.words import list_names
from flowground.providers.base import MOST_FILE_BYTES, Capabilities

_PDF = "application/pdf"
_CHARS_A_TOKEN = 3
"""A low estimate for texts of most languages, so that what is shown fits."""
_ANSWER = 4
"""The part of a window that is kept free for the answer, where the flow sets no limit: a quarter."""
_LEAST_CHARS = 500
"""The least characters of a document, however full the window is: the model's server then refuses the call."""
_PICTURE_CHARS, _PDF_CHARS = 4_500, 30_000
"""Characters that a picture and a PDF count as: 1,500 tokens, and some ten pages."""


def declare_files() -> Any:
    """The field `files` of a component that calls a model; None where nothing is connected."""
    says = "Files shown to the model beside the input, such as `${ChatInput.files}`."
    return declare(None, "Files", says, kind="files")


async def show_files(
    context: Context,
    takes: Capabilities,
    system: str,
    text: str,
    files: Sequence[FileReference] | None,
    *,
    n_messages: int = 0,
    max_tokens: int | None = None,
    schema: Mapping[str, Any] | None = None,
) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """The messages for a model: `system`, earlier ones and the user's with these files; and sentences about what it was
    not shown.

    `files` None: the model is shown no files, nor those of earlier messages.

    A document without text is replaced by a note for the model. Where the answer is data that fits `schema`, it raises
    RunError, as a picture does for a model that accepts none.
    """
    history = await context.history.read(n_messages) if n_messages else ()
    first = (Message("system", system),) if system else ()
    if not files and (files is None or not any(one.files or one.gone for one in history)):
        return (*first, *(Message(one.role, one.text) for one in history), Message("user", text)), ()
    parts: list[FilePart] = []
    documents: list[tuple[str, str]] = []
    unread: list[str] = []
    for file in files or ():
        if file.media_type in IMAGES or (file.media_type == _PDF and takes.documents):
            parts.append(_make_part(context, file))
        elif file.media_type.startswith("image/"):
            raise SentFileFailed(f"{file.name} is a picture that models do not see; PNG, JPEG, GIF and WebP they do.")
        else:
            documents.append((file.name, await _read(context, file, unread if schema is None else None)))
    tokens = takes.window - (takes.window // _ANSWER if max_tokens is None else max_tokens)
    used = len(system) + len(str(schema or "")) + len(text) + sum(len(one.text) for one in history)
    space = max(0, tokens * _CHARS_A_TOKEN - used)
    texts, cut = _cut(documents, space)
    space -= sum(map(len, texts)) + _PICTURE_CHARS * len(parts)
    left = _SpaceLeft(space, MOST_FILE_BYTES - sum(part.size for part in parts))
    earlier = await _show_earlier(context, takes, history, left, unseen := [*unread, *cut])
    asked = Message("user", _join(parts, [*texts, text] if text else texts))
    return (*first, *earlier, asked), tuple(unseen)


@dataclass(slots=True)
class _SpaceLeft:
    """The space that earlier files may still take: characters of the window, and bytes of a call."""

    chars: int
    size: int
    left_out: list[str] = field(default_factory=list)

    def take(self, file: FileReference) -> bool:
        """Takes the space of a file, if it fits; True if it is shown unchanged."""
        cost = _PDF_CHARS if file.media_type == _PDF else _PICTURE_CHARS
        if cost > self.chars or file.size > self.size:
            return False
        self.chars -= cost
        self.size -= file.size
        return True


def _make_part(context: Context, file: FileReference) -> FilePart:
    read = partial(context.outside.sent_files.read, file)
    return FilePart(file.id, file.name, file.media_type, file.size, file.sha256, read)


def _join(parts: Sequence[MessagePart], texts: Sequence[str]) -> str | tuple[MessagePart, ...]:
    whole = "\n\n".join(texts)
    return (*parts, TextPart(whole)) if parts and whole else tuple(parts) or whole


async def _show_earlier(
    context: Context, takes: Capabilities, history: Sequence[PastMessage], space: _SpaceLeft, unseen: list[str]
) -> tuple[Message, ...]:
    """The earlier messages with their files, the newest files first, as far as there is space. `unseen` gets the
    rest."""
    shown: list[Message] = []
    for one in reversed(history):
        content = await _show_again(context, takes, one, space, unseen) if one.files or one.gone else one.text
        shown.append(Message(one.role, content))
    if space.left_out:
        names = list_names(space.left_out)
        unseen.append(f"Files of earlier messages that the model was not shown any more: {names}.")
    return tuple(reversed(shown))


async def _show_again(
    context: Context, takes: Capabilities, one: PastMessage, space: _SpaceLeft, unseen: list[str]
) -> str | tuple[MessagePart, ...]:
    parts: list[MessagePart] = []
    texts = [f"[The file {name} was deleted.]" for name in one.gone]
    for file in one.files:
        if (takes.images and file.media_type in IMAGES) or (takes.documents and file.media_type == _PDF):
            if space.take(file):
                parts.append(_make_part(context, file))
                continue
        elif file.media_type.startswith("image/"):
            texts.append(f"[The picture {file.name} is not shown.]")
            continue
        elif space.chars >= _LEAST_CHARS:
            (text,), cut = _cut([(file.name, await _read(context, file, []))], space.chars)
            space.chars -= len(text)
            texts.append(text)
            unseen += cut
            continue
        texts.append(f"[The file {file.name} is not shown any more.]")
        space.left_out.append(file.name)
    return _join(parts, [*texts, one.text])


async def _read(context: Context, file: FileReference, unread: list[str] | None) -> str:
    """The file's text. Where it has none and the call goes on, a note for the model, and the reason is added to
    `unread`."""
    try:
        return await context.outside.sent_files.extract(file)
    except RunError as error:
        if unread is None:
            raise
        unread.append(error.message)
        return f"[This file could not be read: {error.message}]"


def _cut(documents: Sequence[tuple[str, str]], space: int) -> tuple[list[str], tuple[str, ...]]:
    """Each document with its name, long ones cut to the space that short ones leave; and notes about the cuts."""
    most: dict[int, int] = {}
    left = space
    for number, at in enumerate(sorted(range(len(documents)), key=lambda one: len(documents[one][1]))):
        share = max(_LEAST_CHARS, left // (len(documents) - number))
        most[at] = min(share, len(documents[at][1]))
        left = max(0, left - most[at])
    texts, notes = [], []
    for at, (name, text) in enumerate(documents):
        kept, end = text[: most[at]], ""
        if len(kept) < len(text):
            end = f"\n[Cut here: {len(text) - len(kept):,} more characters]"
            notes.append(f"Of {name} the model read the first {len(kept):,} of {len(text):,} characters.")
        quoted = name.replace('"', "'")
        texts.append(f'<document name="{quoted}">\n{kept.rstrip()}{end}\n</document>')
    return texts, tuple(notes)
