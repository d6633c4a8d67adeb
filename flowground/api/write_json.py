"""JSON of long answers: Langflow's shape says a text in five places, each distinct text is encoded once."""

import secrets
from collections.abc import Callable, Iterable
from typing import Any, AnyStr

LONG = 100_000
"""Characters of texts from which this is worth it; below, the plain encoder is the faster one."""
_SHORT = 1_000
"""Characters of one text up to which it is not encoded apart."""


def holds_long(texts: Iterable[str]) -> bool:
    """Whether the texts of an answer are long together."""
    return sum(map(len, texts)) > LONG


def write_long(body: Any, encode: Callable[[Any], AnyStr]) -> AnyStr:
    """What `encode(body)` gives, made with one call of `encode` for each distinct long text and one for the rest."""
    mark = secrets.token_hex(16)
    texts: list[str] = []
    quoted = encode(mark)
    pieces = encode(_hollow(body, mark, texts)).split(quoted)
    known = {text: encode(text) for text in dict.fromkeys(texts)}
    said = [pieces[0]]
    for text, piece in zip(texts, pieces[1:], strict=True):
        said += (known[text], piece)
    return quoted[:0].join(said)


def _hollow(value: Any, mark: str, texts: list[str]) -> Any:
    """The value with `mark` in place of each long text, which `texts` then holds in their order."""
    if isinstance(value, str) and len(value) > _SHORT:
        texts.append(value)
        return mark
    if isinstance(value, dict):
        return {key: _hollow(inner, mark, texts) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hollow(inner, mark, texts) for inner in value]
    return value
