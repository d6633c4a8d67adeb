"""Which code is mutated, and which tests must notice. Where a file of them is moved or renamed, only this changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LEAST = 85
"""Percent of an area's mutants that must be noticed."""


@dataclass(frozen=True, slots=True)
class Area:
    """Patterns below the project's folder; each must match a file."""

    code: tuple[str, ...]
    tests: tuple[str, ...]

    def files(self, root: Path) -> list[str]:
        """The code's files, as paths below `root`."""
        return _expand(root, self.code)

    def test_files(self, root: Path) -> list[str]:
        return _expand(root, self.tests)


AREAS: Mapping[str, Area] = {
    "runner": Area(
        ("flowground/runner/*.py",),
        ("tests/test_runner*.py", "tests/test_branches.py", "tests/test_turn_bounds.py"),
    ),
    "fields": Area(
        ("flowground/fields/*.py",),
        (
            *("tests/test_fields.py", "tests/test_fields_refused.py", "tests/test_wiring*.py", "tests/test_schema.py"),
            *("tests/test_tweaks.py", "tests/test_tweaks_opened.py", "tests/test_secret_fields.py"),
            *("tests/test_overrides.py", "tests/api/test_tweaks_on_the_wire.py"),
        ),
    ),
    "access": Area(
        ("flowground/access/__init__.py", "flowground/access/acc*.py", "flowground/access/[p-s]*.py"),
        (
            *("tests/test_access.py", "tests/test_access_sharing.py", "tests/test_access_preview.py"),
            *("tests/test_access_requests.py", "tests/test_access_account.py", "tests/test_access_organization.py"),
            "tests/test_access_matrix.py",
        ),
    ),
    "tokens": Area(
        ("flowground/access/application_tokens.py", "flowground/store/people/tokens.py"),
        ("tests/test_application_tokens.py", "tests/test_store_access.py", "tests/api/test_tokens.py"),
    ),
    "limits": Area(
        ("flowground/limits/[_mrt]*.py",),
        ("tests/test_limits.py", "tests/test_limits_each.py", "tests/test_limit_*.py"),
    ),
    "conversation": Area(
        tuple(f"flowground/conversation/{name}.py" for name in ("frames", "held_overrides", "outbox", "written")),
        tuple(f"tests/test_conversation_{name}.py" for name in ("frames", "outbox", "written")),
    ),
    "runs": Area(
        ("flowground/store/runs/*.py",),
        (
            *("tests/test_store_conversations.py", "tests/test_store_turn_overrides.py", "tests/test_turns.py"),
            *("tests/test_store_numbers.py", "tests/test_store_transcripts.py", "tests/test_forgetting.py"),
            *(
                "tests/test_interruptions.py",
                "tests/test_retention.py",
                "tests/test_store_runs.py",
                "tests/api/test_messages.py",
                "tests/api/test_runs.py",
            ),
        ),
    ),
    "writer": Area(
        tuple(f"flowground/store/database/{name}.py" for name in ("writer", "readers", "checkpoints", "threads")),
        (
            *("tests/test_store_writer*.py", "tests/test_store_threads.py", "tests/test_store_writing.py"),
            "tests/test_store_outage.py",
        ),
    ),
}


def _expand(root: Path, patterns: tuple[str, ...]) -> list[str]:
    found = []
    for pattern in patterns:
        matching = sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))
        if not matching:
            raise SystemExit(f"bench/mutants/areas.py: nothing is called {pattern}")
        found += matching
    return found
