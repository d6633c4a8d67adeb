"""How limits are said to people: what was reached, and when there is more."""

import math

from flowground.caller import Caller
from flowground.errors import RunLimitReached
from flowground.limits.meter import Remaining
from flowground.limits.table import DAY, MINUTE, Limit
from flowground.words import count


def refuse(found: Remaining, caller: Caller, *, currency: str) -> RunLimitReached:
    """The error for a limit of which nothing is left."""
    limit = found.limit
    match limit.what:
        case "runs_per_minute" | "page_runs_per_minute":
            return _refuse_minute(found, caller)
        case "visitor_runs_per_day":
            return _refuse_day(found, "This flow has reached its daily limit; it answers again")
        case "runs_at_once":
            return _refuse_more(found)
        case "tokens_per_day":
            used = count(int(limit.most), "token")
        case "money_per_day":
            used = f"{limit.most:g} {currency}"
        case "stored_bytes":
            return RunLimitReached(
                f"Your conversations take up {write_bytes(found.used)}; {write_bytes(limit.most)} is the limit.",
                code="storage_limit_reached",
                hint="Delete conversations that you no longer need, then send this one.",
            )
    subject, pronoun = _name_subject(limit)
    return _refuse_day(found, f"{subject} used the {used} that {pronoun} may use a day; the limit resets")


def write_bytes(size: float) -> str:
    """In the unit a person would take, powers of 1000: 0 kB, 1.2 kB, 10.2 MB."""
    for unit, power in (("GB", 1e9), ("MB", 1e6)):
        if size >= power:
            return f"{size / power:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size / 1000:.1f}".removesuffix(".0") + " kB"


def write_reset(found: Remaining) -> str:
    """When all of it is there again: "in 40 s", "at 00:00 UTC, in 5 h"; nothing where time does not tell."""
    if found.resets_in is None:
        return ""
    if found.limit.measure.seconds != DAY:
        return f"in {found.resets_in} s"
    hours = math.ceil(found.resets_in / 3600)
    return f"at 00:00 UTC, in {f'{hours} h' if found.resets_in > 3600 else f'{math.ceil(found.resets_in / 60)} min'}"


def _refuse_minute(found: Remaining, caller: Caller) -> RunLimitReached:
    limit, wait = found.limit, found.resets_in or MINUTE
    if caller.kind == "token" and limit.of == "person" and not caller.id.startswith("try:"):
        whose = "Your programs and pages may together" if caller.person else "This token may"
        return RunLimitReached(
            f"{whose} start {count(int(limit.most), 'run')} a minute.",
            hint=f"Try again in {wait} s. The limit is set by {limit.setting}.",
            limit=int(limit.most),
            retry_after=wait,
        )
    hint = f"The limit is {limit.most:g} a minute."
    if limit.of == "address":
        hint = "Many messages are coming from your network."
    elif limit.of == "flow":
        hint = f"This flow answers {limit.most:g} times a minute."
    return RunLimitReached(f"You can send the next message in {wait} s.", hint=hint, retry_after=wait)


def _refuse_day(found: Remaining, sentence: str) -> RunLimitReached:
    return RunLimitReached(f"{sentence} {write_reset(found)}.", code="daily_limit_reached", retry_after=found.resets_in)


def _refuse_more(found: Remaining) -> RunLimitReached:
    subject, pronoun = _name_subject(found.limit)
    most = count(int(found.limit.most), "run")
    return RunLimitReached(
        f"{subject} {most} going on, as many as {pronoun} may have at once.",
        code="runs_at_once",
        hint=f"Wait for one to end, or try again in about {found.resets_in} s.",
        retry_after=found.resets_in,
    )


def _name_subject(limit: Limit) -> tuple[str, str]:
    """Who reached it, with the verb that follows, and the pronoun for them."""
    match limit.of:
        case "flow":
            return "This flow has", "it"
        case "address":
            return "Your network has", "it"
        case "person" | "visitor":
            return "You have", "you"
