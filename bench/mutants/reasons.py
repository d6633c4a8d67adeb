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
    "writer.py: self._is_committing = False →": "Equivalent: every try begins by saying so.",
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
    "run_seconds and float(DAY)": "Slower, and no different: more of the day is read anew each time.",
    "_MOST_FLOWS = 100 →": "One flow more or less is told of.",
    "secret.encode()[:64] →": "Any part of the secret that the digest takes.",
    "digest_size=16)": "A digest that is a byte longer or shorter.",
    'unit == "runs" and found.left < 0': "Equivalent: runs are whole, and of a limit nothing less is left than none.",
    "found.resets_in or": "Equivalent: a minute always has its end.",
    "most: int = 20_000 →": "One person more or less is remembered.",
    "held, read_at = self._held.get(key, (0.0, -LOOK_AGAIN))": "Equivalent: what was never read is read now.",
    "held, _ = self._held.get(key, (0.0, 0.0))": "Equivalent: only the first of the two is looked at.",
    '("GB", 1e9), ("MB", 1e6)': "One byte of a thousand million more or less.",
    '"stored_bytes": Measure(None,': "Equivalent: bytes have no time, and nobody asks.",
    "_MOST = 20_000 →": "One minute or day more or less is remembered.",
    "_LATE = 60.0 →": "A run ends a second earlier or later than the latest one.",
    "longest: float = 600.0 →": "A default that the settings replace.",
    "if _count_parts(text) < _MOST_PARTS": "Equivalent: the closer look finds as many.",
    "> 4 * _MOST_PARTS: →": "From where on a closer look would take long, more or less.",
    'extra="forbid", frozen=False': "Equivalent: nobody changes a frame.",
    "errors(include_input=False, include_url=False": "Equivalent: only its place is read.",
    "_Id = Annotated[str, Field(min_length= 0": "Equivalent: the pattern asks for one sign.",
    "held_overrides.py: break → continue": "Equivalent: nothing is left for the longer ones either.",
    "outbox.py: self._chars = 0 →": "Equivalent: nobody counts once it is over.",
    "outbox.py: self._frames.clear() → pass": "Memory alone: none of it is sent any more.",
}
"""A part of a change as docs/mutants.md shows it -> why no test looks for it."""


def find_reason(change: str) -> str | None:
    return next((reason for part, reason in REASONS.items() if part in change), None)
