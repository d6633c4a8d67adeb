"""Why a mutant may survive. A reason holds for the changes that have its words in them."""

from collections.abc import Mapping

_GIVEN = "Equivalent: `_read_type` gives it for every field."

REASONS: Mapping[str, str] = {
    "_NAMED = 10 →": "One part of a long text more or less is looked at for what fills it; the refusal stays right.",
    "fields/types.py: text: bool": _GIVEN,
    "fields/types.py: number: bool": _GIVEN,
    "fields/types.py: whole: bool": _GIVEN,
    "fields/types.py: required: bool": _GIVEN,
    "fields/types.py: optional: bool": _GIVEN,
    "fields/types.py: multiline: bool": _GIVEN,
    "fields/types.py: template: bool": _GIVEN,
    "fields/types.py: secret: bool": _GIVEN,
    "fields/types.py: takes_references: bool": _GIVEN,
    "fields/types.py: callers_may_set: bool": _GIVEN,
    "fields/types.py: models_may_set: bool": "Nothing asks yet: there are no tools.",
}
"""A part of a change as docs/mutants.md shows it -> why no test looks for it."""


def find_reason(change: str) -> str | None:
    return next((reason for part, reason in REASONS.items() if part in change), None)
