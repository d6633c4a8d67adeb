"""Why a mutant may survive. A reason holds for the changes that have its words in them."""

from collections.abc import Mapping

_A_CHARACTER = "One character of three million more or less."
_ONE = "Equivalent: the batch has one write."

REASONS: Mapping[str, str] = {
    "raise failures[ -1]": "Equivalent: they come from a set, so any of them may be the one that is told.",
    "await asyncio.sleep( -1)": "Equivalent: no time at all either.",
    "text.references[:10]": "One reference of a long text more or less is named; the mistake stays right.",
    "@cache →": "Equivalent, and slower.",
    "@lru_cache(maxsize=4096) →": "Equivalent, and slower.",
    "errors(include_url=True)": "Equivalent: nobody reads the address of pydantic's page.",
    "or mistake.missing not in values": "Equivalent: what an author wrote holds no mistake, so each is of the change.",
    "_NAMED = 10 →": "One part of a long text more or less is looked at for what fills it; the refusal stays right.",
    "MOST_HISTORY = 3_000_000 →": _A_CHARACTER,
    "size <= MOST_HISTORY: →": _A_CHARACTER,
    "runs/conversations.py: size = 0 →": _A_CHARACTER,
    "limit: int = 1000 →": "A default bound: nobody counts on one message more or less.",
    "TITLE_CHARS = 80 →": "One character of a title more or less.",
    "_MOST_ANSWERS = 5 →": "One answer of a run more or less: flows have one or two.",
    "_find_percentile(took, 0.5), → p50=_find_percentile(took, -0.5": "Equivalent: the same place, from the end.",
    "session is not None or answers": "Equivalent: texts are kept with their session.",
    "_STEP = 50 →": "One run more or less is ended in one step.",
    "progress.py: .limit(1) → .limit( 2)": "Equivalent: the first row is read.",
    "_QUESTION, _ANSWER = -1, -2 →": "Equivalent: any two numbers that no step has.",
    "round(step.seconds, 6)": "A step's seconds are kept to the microsecond, more or less.",
    "zip(rows, messages, strict=True) →": "Equivalent: one message is made of each row.",
    "was_kept: bool = False, →": "Equivalent: it clears what is not there.",
    "TITLE_CHARS * 8": "So much of a text is looked at before its blanks are folded; a title is far shorter.",
    "or 0 → total": "Equivalent: the database always gives a count.",
    "_find_percentile(took, 0.95), → p95=_find_percentile(took, -0.05": "Equivalent: the same place, from the end.",
    "ensure_ascii=False": "Another spelling of the same text.",
    "_FLUSH_SECONDS = 1.0 →": "How long uses of tokens gather: any short time does.",
    "role, active = found[0] →": "Equivalent: no two tokens have one hash.",
    "@mark_one_way() → (nothing)": "It saves PostgreSQL a round trip, and changes no result.",
    "old=before, new=after, by=after) > 0 →": "Where somebody else handed it over between the look and this write.",
    "func.count() > keep": "Equivalent: where there are just as many as are kept, none is looked for.",
    "with open_batch(connection) if is_one_way": "PostgreSQL's round trips alone: SQLite has none to save.",
    "threads.py: self._is_committing = False →": "Equivalent: every try begins by saying so.",
    "tries: int = _TRIES, may_be_stored: bool": "Slower, and no different: each write would be looked for first.",
    "_READ_BATCH = 8 →": "One read more or less is taken at once, which nobody sees.",
    "_PAUSE_SECONDS = 0.25 →": "SQLite's log is moved a little earlier or later.",
    "→ elif len(batch) == 1 and not batch[ -1]": _ONE,
    "→ batch[ -1].error = error": _ONE,
    "tries=1, may_be_stored=True) → error = self._try([job], tries= ": (
        "What is written one by one is not tried again; a second try would do no harm."
    ),
    "_run_all(connection, jobs, may_fail=len(batch) == 1) → _run_all(connection, jobs, may_fail=len(batch) == 0)": (
        "Equivalent: a write that is alone fails in a savepoint as it does without one."
    ),
    "join_threads([self._thread], lambda: 0)": "Equivalent: any number that stays the same.",
    "alive[0].join(0.05)": "Any of the threads that are left, and how long one look at it takes.",
    "alive[0].name": "Any of the threads that are left.",
}
"""A part of a change as docs/mutants.md shows it -> why no test looks for it."""


def find_reason(change: str) -> str | None:
    return next((reason for part, reason in REASONS.items() if part in change), None)
