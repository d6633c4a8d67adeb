"""What the terminal says at start: address, flows and their mistakes, and in local mode the owner's code."""

from collections.abc import Sequence
from urllib.parse import quote

from flowground.runtime import Runtime


async def greeting(runtime: Runtime, address: str | None) -> Sequence[str]:
    """Lines for the terminal. The owner's code stands here and nowhere else."""
    flows, problems = runtime.catalogue.flows(), runtime.catalogue.problems()
    lines = [f"Flowground: {_count(len(flows), 'flow')}, {len(problems)} with mistakes"]
    for error in problems.values():
        lines += [f"  {line}" for line in error.message.splitlines()]
    if address:
        lines.append(f"Open {address}")
    if await runtime.sign_in.local_mode():
        code = runtime.sign_in.owner_code
        lines += [
            "",
            "No account was made yet, so only this computer is served (local mode).",
            f"Publishing, tokens and the first account ask for the owner code: {code}",
        ]
        if address:
            lines.append(f"Or open {address}/?code={quote(code)}")
    return lines


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
