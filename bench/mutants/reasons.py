"""Why a mutant may survive. A reason holds for the changes that have its words in them."""

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    "_NAMED = 10 →": "One part of a long text more or less is looked at for what fills it; the refusal stays right.",
}
"""A part of a change as docs/mutants.md shows it -> why no test looks for it."""


def find_reason(change: str) -> str | None:
    return next((reason for part, reason in REASONS.items() if part in change), None)
