"""What tests of a flow came to: plain values, kept while the process runs."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """`about` is the expectation's word; "" where the turn failed. `lines` show what was given."""

    about: str
    says: str
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.about}: {self.says}" if self.about else self.says


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """One turn of a test: what was said, and what was not as expected."""

    message: str | None
    seconds: float
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class FlowTestOutcome:
    """One test at its end: its turns, up to the first that differs, of `wanted`. `line` is where `file` has it."""

    flow_id: str
    file: str
    line: int
    title: str
    wanted: int
    turns: tuple[TurnOutcome, ...]

    @property
    def is_passed(self) -> bool:
        """Whether all was as expected."""
        return not self.turns[-1].differences

    @property
    def seconds(self) -> float:
        """Of all its turns."""
        return sum(turn.seconds for turn in self.turns)


@dataclass(frozen=True, slots=True)
class FlowTestReport:
    """The outcomes of all tests of a flow, of this `version` of it."""

    version: str
    outcomes: Sequence[FlowTestOutcome]
