"""Drafts that this browser keeps for people (frontend/src/chat/page.js), and when they go."""

from hashlib import blake2b

from flowground.caller import Owner

_PREFIX = "flowground:draft:"


def name_person(owner: Owner) -> str:
    """Whose drafts they are, in the browser: tells nothing of them."""
    return blake2b(str(owner).encode(), digest_size=8).hexdigest()


def write_forgetting(keep: Owner | None = None) -> str:
    """JavaScript, one expression, that deletes all drafts but those of `keep`. It never fails."""
    kept = f"{_PREFIX}{name_person(keep)}:" if keep else ""
    is_other = f'name.startsWith("{_PREFIX}")' + (f' && !name.startsWith("{kept}")' if kept else "")
    return (
        "(() => { try { for (const name of Object.keys(localStorage)) "
        f"if ({is_other}) localStorage.removeItem(name); }} catch {{ /* it keeps nothing */ }} }})()"
    )
