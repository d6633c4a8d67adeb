"""What a case of `bench.faults` saw, and the page of all of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Found:
    """`seen` is what there was; `wrong` must be 0 throughout."""

    seen: Mapping[str, int]
    wrong: Mapping[str, int]

    @property
    def is_bad(self) -> bool:
        return any(self.wrong.values())

    def __str__(self) -> str:
        return f"{_list(self.seen)}; {_list(self.wrong)}"


_PAGE = """\
# What was broken on purpose, and what was lost

Written by `python -m bench.faults`. *Wrong* must be 0: acknowledged runs lost or stored twice, runs without an end,
lost texts, failed requests, mistakes in the database.

| case | what | seen | wrong |
| --- | --- | --- | --- |
{rows}
"""


def keep(file: Path, name: str, found: Found) -> dict[str, Found]:
    """Keeps what a case found; what all cases found last, by name."""
    kept = json.loads(file.read_text("utf-8")) if file.exists() else {}
    kept[name] = {"seen": dict(found.seen), "wrong": dict(found.wrong)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    return {name: Found(**said) for name, said in kept.items()}


def page(cases: Mapping[str, tuple[str, Found]]) -> str:
    """By the case's name what it is, and what it saw."""
    rows = (
        f"| {name} | {what} | {_list(one.seen)} | {_list(one.wrong) or '0'} |" for name, (what, one) in cases.items()
    )
    return _PAGE.format(rows="\n".join(rows))


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counts.items() if count)
