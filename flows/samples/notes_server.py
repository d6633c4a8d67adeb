"""An MCP server over a folder of notes, for the flow note-keeper: `python notes_server.py FOLDER`. It speaks on stdin
and stdout, and needs what requirements-mcp.txt names."""

import re
import sys
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

FOLDER = Path(sys.argv[1])
MOST_NOTES = 5
MOST_CHARS = 2_000
server = MCPServer("notes")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def find_notes(words: str) -> str:
    """Finds the notes in which these words stand, and says what they hold. Use few words."""
    wanted = set(re.findall(r"\w{3,}", words.lower()))
    found = []
    for file in sorted(FOLDER.glob("*.md")):
        text = file.read_text("utf-8")
        hits = len(wanted & set(re.findall(r"\w{3,}", f"{file.stem} {text}".lower())))
        found += [(hits, file.name, text[:MOST_CHARS])] if hits else []
    best = sorted(found, reverse=True)[:MOST_NOTES]
    return "\n\n".join(f"[{name}]\n{text}" for _, name, text in best) or "No note has these words."


@server.tool()
def add_note(title: str, text: str) -> str:
    """Writes a new note down."""
    name = re.sub(r"[^\w]+", "-", title.lower()).strip("-_")[:60]
    if not name:
        raise ToolError("The title needs a letter or a digit.")
    try:
        with (FOLDER / f"{name}.md").open("x", encoding="utf-8") as file:
            file.write(f"# {title}\n\n{text}\n")
    except FileExistsError:
        raise ToolError(f"There is a note {name}.md already.") from None
    return f"Written down as {name}.md."


server.run()
