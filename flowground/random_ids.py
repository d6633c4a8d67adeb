"""Random ids of version 4, as runs, messages and sessions have them."""

import os

_DRAWN_AT_ONCE = 64
_drawn: list[str] = []
if hasattr(os, "register_at_fork"):  # Windows forks nothing
    os.register_at_fork(after_in_child=_drawn.clear)


def make_id() -> str:
    """As `uuid4()` would say it. Many are drawn at once: each question to the system lets other threads go first."""
    try:
        return _drawn.pop()
    except IndexError:
        first, *others = _draw()
        _drawn.extend(others)
        return first


def _draw() -> list[str]:
    drawn = bytearray(os.urandom(16 * _DRAWN_AT_ONCE))
    for at in range(0, len(drawn), 16):
        drawn[at + 6] = drawn[at + 6] & 0x0F | 0x40
        drawn[at + 8] = drawn[at + 8] & 0x3F | 0x80
    digits = drawn.hex()
    words = (digits[at : at + 32] for at in range(0, len(digits), 32))
    return [f"{word[:8]}-{word[8:12]}-{word[12:16]}-{word[16:20]}-{word[20:]}" for word in words]
