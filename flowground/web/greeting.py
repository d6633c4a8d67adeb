"""What the terminal says at start: address, flows and their mistakes, and in local mode the owner's code."""

from collections.abc import Sequence
from urllib.parse import quote

from flowground.runtime import Runtime
from flowground.settings import LocalMode
from flowground.words import count

_LOCAL_MODE: dict[LocalMode, Sequence[str]] = {
    "open": (
        "No account was made yet, so only this computer is served (local mode): whoever uses it, and whatever forwards",
        "to it, sees flows and chats. `local_mode: link` in config.yaml asks each browser for the link below.",
        "Flow files, sharing, tokens, documents and the first account ask for the owner code once.",
    ),
    "link": ("No account was made yet: only this computer is served, and only browsers that opened this link.",),
    "off": ("No account was made yet: only this computer is served, and only the page that makes the first one.",),
}


async def compose_greeting(runtime: Runtime, address: str | None) -> Sequence[str]:
    """Lines for the terminal. The owner's code stands here and nowhere else."""
    flows, problems = runtime.catalogue.list_flows(), runtime.catalogue.list_problems()
    lines = [f"Flowground: {count(len(flows), 'flow')}, {len(problems)} with mistakes"]
    for error in problems.values():
        lines += [f"  {line}" for line in error.message.splitlines()]
    is_local, mode = await runtime.sign_in.is_local_mode(), runtime.settings.local_mode
    if address and not (is_local and mode != "open"):
        lines.append(f"Open {address}")
    if is_local:
        code = runtime.sign_in.owner_code
        lines += ["", *_LOCAL_MODE[mode], f"The owner code: {code}"]
        if address:
            lines.append(f"{'Or open' if mode == 'open' else 'Open'} {address}/?code={quote(code)}")
    elif not await runtime.sign_in.has_admin():
        lines.append("No admin can sign in: python -m flowground members add NAME --role admin")
    return lines
