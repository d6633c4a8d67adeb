"""docs/mutants.md: how many mutants were noticed, and why the others need not be."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.mutants.areas import AREAS, LEAST
from bench.mutants.reasons import find_reason

_TEXT = f"""# Mutants

Written by `make mutants`. One small fault is put into the code at a time: a comparison turned round, a bound moved by
one, a condition negated, a decorator or a call left out. The area's tests run on it, and one of them must fail, or take
far longer. At least {LEAST} % of each area's faults must be noticed; each that is not stands below, with the reason why
no test looks for it.

| area | mutants | noticed | % | seconds |
| --- | ---: | ---: | ---: | ---: |
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One area's run. `survivors` are the changes that no test noticed."""

    area: str
    mutants: int
    survivors: list[str]
    seconds: int

    @property
    def percent(self) -> float:
        return 100 * (self.mutants - len(self.survivors)) / self.mutants

    @property
    def is_good(self) -> bool:
        return self.percent >= LEAST and all(find_reason(change) for change in self.survivors)


def keep(result: Result, folder: Path) -> None:
    """For the page: areas may be run one by one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result.area}.json").write_text(json.dumps(asdict(result), ensure_ascii=False, indent=1), "utf-8")


def mutants_page(folder: Path) -> str:
    """The page of what is kept."""
    files = [folder / f"{area}.json" for area in AREAS]
    results = [Result(**json.loads(file.read_text("utf-8"))) for file in files if file.exists()]
    return _TEXT + "\n".join(_lines(results)) + "\n"


def _lines(results: list[Result]) -> Iterator[str]:
    for result in results:
        noticed = result.mutants - len(result.survivors)
        yield f"| {result.area} | {result.mutants} | {noticed} | {result.percent:.1f} | {result.seconds} |"
    for result in results:
        yield f"\n## What no test of {result.area} notices\n"
        for change in result.survivors:
            yield f"- `` {change} ``  \n  {find_reason(change) or '**no reason yet**'}"
