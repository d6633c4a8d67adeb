"""Which code is mutated, and which tests must notice."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Area:
    """`code` are patterns below the project's folder, each of which must match a file. A file of tests belongs to the
    area when one of the words `tests` stands in its name, so that it may be split, joined and moved."""

    code: tuple[str, ...]
    tests: tuple[str, ...]

    def files(self, root: Path) -> list[str]:
        """The code's files, as paths below `root`."""
        found = []
        for pattern in self.code:
            matching = _below(root, root.glob(pattern))
            if not matching:
                raise SystemExit(f"tests/mutants/areas.py: nothing is called {pattern}")
            found += matching
        return found

    def list_tests(self, root: Path) -> list[str]:
        """The files of its tests, as paths below `root`."""
        files = (root / "tests").rglob("test_*.py")
        return _below(root, (path for path in files if any(word in path.stem for word in self.tests)))


AREAS: Mapping[str, Area] = {
    "runner": Area(
        tuple(f"flowground/runs/{name}.py" for name in ("runner", "scope", "outputs", "inner")),
        (
            *("test_run", "test_branch", "turn_bounds", "test_agent", "test_citations", "inner_flows"),
            *("fallbacks", "conversation_actions", "decisions", "token_rights"),
        ),
    ),
    "fields": Area(
        ("flowground/flows/field*.py",),
        ("test_fields", "test_wiring", "test_schema", "test_tweaks", "test_overrides"),
    ),
    "access": Area(
        ("flowground/access/__init__.py", "flowground/access/account.py", "flowground/access/[p-s]*.py"),
        ("test_access", "test_shared_chats", "test_rights_again", "test_owners", "test_removal", "pages_each"),
    ),
    "tokens": Area(
        ("flowground/access/application_tokens.py", "flowground/store/people/tokens.py"),
        ("application_tokens", "store_access", "test_token"),
    ),
    "limits": Area(("flowground/runs/limits.py", "flowground/runs/meter.py"), ("test_limit",)),
    "conversation": Area(
        tuple(f"flowground/ui/conversation/{name}.py" for name in ("frames", "messages")),
        ("conversation_frames", "conversation_outbox", "conversation_answers", "conversation_actions", "inner_flows"),
    ),
    "runs": Area(
        ("flowground/store/runs/*.py",),
        (
            *("store_conversations", "store_ratings", "store_runs", "store_shared_chats", "store_transcripts"),
            *("store_versions", "test_turn", "interruptions", "retention", "test_messages", "test_runs", "usage"),
            *("idempotency", "stored_files", "feedback_answers", "added_messages", "session_lists", "test_sessions"),
            *("test_limit", "operating", "erasure", "agent_steps", "decisions", "conversation_actions", "test_files"),
            *("resuming", "store_plans", "test_stopping", "knowledge_uploads", "access_account", "test_removal"),
            *("test_running", "page_files"),
        ),
    ),
    "writer": Area(
        ("flowground/store/__init__.py", "flowground/store/writer.py"),
        ("store_writ", "store_threads", "store_outage", "store_vacuum", "unknown_outcome", "test_retention"),
    ),
}


def _below(root: Path, paths: Iterable[Path]) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in paths)
