"""Pages that are made from the code: `python -m docs.generate` writes them, `--check` compares."""

import sys
from pathlib import Path

from docs.components import components_page
from docs.settings import settings_page
from flowground.schema import write_flow_schema

PAGES = {
    "components.md": components_page,
    "flow.schema.json": write_flow_schema,
    "settings.md": settings_page,
}
"""File in docs/ -> what its text is."""


def stale() -> list[str]:
    """Pages whose file says something else than the code."""
    return [name for name, page in PAGES.items() if _read(name) != page()]


def main() -> int:
    """0 when all is well; with `--check`, 1 when a page is stale, and nothing is written."""
    names = stale()
    if "--check" in sys.argv[1:]:
        for name in names:
            sys.stderr.write(f"docs/{name} is stale: run `make fix`\n")
        return 1 if names else 0
    for name in names:
        (Path(__file__).parent / name).write_text(PAGES[name](), encoding="utf-8")
    return 0


def _read(name: str) -> str | None:
    path = Path(__file__).parent / name
    return path.read_text("utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
