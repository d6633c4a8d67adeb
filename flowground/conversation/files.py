"""A conversation as a file: Markdown to read, JSON for programs. Written part by part, however long it is.

Nothing of the flow's inside is in it for who may not see that: no model, no tokens, no reason of a failure.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from flowground.citations import describe_kept, name_place, split_cited
from flowground.conversation.written import CUT_REASONS, find_said
from flowground.messages import mend
from flowground.runtime import Runtime
from flowground.store.runs import transcripts
from flowground.store.runs.records import StoredMessage, find_sender_name, list_file_names
from flowground.store.runs.transcripts import ChatHead
from flowground.store.sql import spell_json

FileFormat = Literal["markdown", "json"]
VERSION = 1
"""Of the JSON; a change that readers of it would notice counts it up."""
_ENDINGS: dict[FileFormat, str] = {"markdown": "md", "json": "json"}
MEDIA_TYPES: dict[FileFormat, str] = {"markdown": "text/markdown; charset=utf-8", "json": "application/json"}
_NAME_CHARS = 60
_LINE_END = re.compile(
    r"^[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*(`{3,}+(?![^\n]*`)|~{3,}+)[^\n]*\n"
    r".*?(?:^[ \t>]*\1[`~]*[ \t]*(?:\n|\Z)|\Z)|(?<=[^\s\\])\n(?=[^\n])",
    re.M | re.S,
)
"""A whole block of code, which stays as it is, or a line's end within a paragraph."""
_MARKS = {
    "failed": "*The flow could not answer.*",
    "stopped": "*Stopped.*",
    "interrupted": "*Interrupted: the server stopped while it wrote this.*",
}


@dataclass(frozen=True, slots=True)
class ChatFile:
    """What is written, and for whom. `name` is the flow's, as its reader knows it."""

    head: ChatHead
    flow_id: str
    owner: str
    name: str
    sees_inside: bool

    def write(self, runtime: Runtime, how: FileFormat) -> AsyncIterator[str]:
        """The file's pieces in their order."""
        return self._write_json(runtime) if how == "json" else self._write_markdown(runtime)

    def write_disposition(self, how: FileFormat) -> str:
        """The header that names the file after the conversation, for browsers old and new."""
        name = _make_name(self.head.title)
        plain = _make_name(name.encode("ascii", "ignore").decode())
        ending = _ENDINGS[how]
        return f"attachment; filename=\"{plain}.{ending}\"; filename*=UTF-8''{quote(f'{name}.{ending}', safe='')}"

    async def _read(self, runtime: Runtime) -> AsyncIterator[list[StoredMessage]]:
        place = {"flow_id": self.flow_id, "owner": self.owner, "session_id": self.head.session_id}
        after: int | None = 0
        while after is not None:
            part = await runtime.store.read(transcripts.read_part, **place, after=after)
            yield [*part.messages]
            after = part.end

    async def _write_markdown(self, runtime: Runtime) -> AsyncIterator[str]:
        title, name = _write_line(self.head.title) or "Untitled", _write_line(self.name)
        began = self.head.created_at.astimezone(UTC)
        yield f"# {title}\n\n{name}, {began.day} {began:%B %Y}\n"
        async for part in self._read(runtime):
            yield "".join(self._write_section(message, name) for message in part)

    def _write_section(self, message: StoredMessage, name: str) -> str:
        who = _write_line(find_sender_name(message)) or ("You" if message.role == "user" else name)
        mark = "" if message.role == "user" else _MARKS.get(message.state, "")
        names = ", ".join(map(_write_line, list_file_names(message)))
        files = names and f"*Files: {names}*"
        text = _LINE_END.sub(lambda found: found[0] if found[1] else "  \n", mend(find_said(message)))
        if message.state == "complete" and not text.strip() and not files:
            mark = "*The answer is empty.*"
        said = "\n\n".join(filter(None, (text, files, mark, _write_sources(message))))
        return f"\n## {who}\n\n{said}\n"

    async def _write_json(self, runtime: Runtime) -> AsyncIterator[str]:
        head = {
            "version": VERSION,
            "flow": {"id": self.flow_id, "name": self.name},
            "session": self.head.session_id,
            "title": self.head.title,
            "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        yield f'{spell_json(head)[:-1]},"messages":['
        before = "\n"
        async for part in self._read(runtime):
            for message in part:
                yield before + spell_json(self._describe(message))
                before = ",\n"
        yield "\n]}\n"

    def _describe(self, message: StoredMessage) -> dict[str, Any]:
        told: dict[str, Any] = {
            "role": message.role,
            "text": mend(find_said(message)),
            "state": message.state,
            "at": message.created_at.isoformat(),
        }
        if sender := find_sender_name(message):
            told["sender_name"] = mend(sender)
        if message.finish_reason in CUT_REASONS:
            told["finish_reason"] = message.finish_reason
        told |= describe_kept(message.text, message.passages)
        if list_file_names(message):
            told["files"] = [
                {"name": mend(one.name), "type": one.media_type, "size": one.size} for one in message.value
            ]
        if message.role == "user" or not self.sees_inside:
            return told
        usage = message.usage
        tokens = None if usage is None else {"input": usage.input_tokens, "output": usage.output_tokens}
        return told | {"model": message.model, "tokens": tokens}


def _write_sources(message: StoredMessage) -> str:
    """What an answer cites, each passage as a quotation below its number and place; then where else was looked."""
    cited, others = split_cited(message.text, message.passages)
    parts = [
        f"[{passage.number}] {_write_line(name_place(passage))}\n\n> " + mend(passage.text).replace("\n", "\n> ")
        for passage in cited
    ]
    if others:
        places = "; ".join(dict.fromkeys(_write_line(name_place(passage)) for passage in others))
        parts.append(f"{'More sources' if cited else 'Sources'}: {places}")
    return "\n\n".join(parts)


def _write_line(text: str) -> str:
    return " ".join(mend(text).split())


def _make_name(title: str) -> str:
    """What every file system takes: letters, digits and hyphens."""
    return re.sub(r"[\W_]+", "-", mend(title)).strip("-")[:_NAME_CHARS].strip("-") or "chat"
