"""Pages that are made from the code: `python -m docs.generate` writes them, tests/test_docs.py compares."""

from pathlib import Path

from docs.components import components_page
from docs.frames import frames_page
from docs.settings import settings_page
from flowground.flows.schema import write_flow_schema

PAGES = {
    "../frontend/src/frames.d.ts": frames_page,
    "components.md": components_page,
    "flow.schema.json": write_flow_schema,
    "settings.md": settings_page,
}
"""File in docs/ -> what its text is."""


def stale() -> list[str]:
    """Pages whose file says something else than the code."""
    return [name for name, page in PAGES.items() if _read(name) != page()]


def main() -> None:
    for name in stale():
        (Path(__file__).parent / name).write_text(PAGES[name](), encoding="utf-8")


def _read(name: str) -> str | None:
    path = Path(__file__).parent / name
    return path.read_text("utf-8") if path.exists() else None


if __name__ == "__main__":
    main()
