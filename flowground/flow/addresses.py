"""Addresses of flows: ids and endpoint names, as they stand in URLs."""

import re

from flowground.flow.document import Document, Path, Position
from flowground.flow.format import Header

RESERVED = frozenset({"static", "media", "component", "app", "_stcore"})
"""Words that are addresses of the server itself."""

ADDRESS = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RULE = "small letters, digits, `.`, `_` and `-`, up to 64 of them, beginning with a letter or digit"


def is_uuid(address: str) -> bool:
    """Whether an address is a UUID, in which capitals do not count."""
    return UUID.fullmatch(address) is not None


def address_mistake(address: str) -> str | None:
    """What is wrong with an id or endpoint name, as a sentence; None when it will do."""
    if address in RESERVED:
        return "the word is one of the server's own addresses."
    if ADDRESS.fullmatch(address) or is_uuid(address):
        return None
    return f"it is {_RULE}, or a UUID."


def flow_id_of(document: Document, header: Header | None, file: str) -> str:
    """`id:`, else the file's name without its ending; notes what is wrong with it."""
    if header is not None and header.id is not None:
        check_address(document, ("id",), header.id, "id")
        return header.id
    stem = file.removesuffix(".yaml").removesuffix(".yml")
    if header is not None and (wrong := address_mistake(stem)):
        word = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")
        message = f"The file's name {stem!r} cannot be the flow's id: {wrong} Rename the file, or give `id:`."
        document.problem(Position(1, 1), message, value=stem, suggestion=word or None)
    return stem


def check_address(document: Document, path: Path, address: str, kind: str) -> None:
    """Notes what is wrong with an address that stands at `path`; `kind` is what people call it."""
    if wrong := address_mistake(address):
        document.problem(document.place(path).value, f"{address!r} cannot be an {kind}: {wrong}", value=address)
