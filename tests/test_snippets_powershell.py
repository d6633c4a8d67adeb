"""PowerShell's text is parsed by a grammar of PowerShell: no mistake in it, and every value is one literal."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from flowground.snippets import SnippetRequest, write_export_line, write_snippets
from tests.snippet_runs import EVERYTHING, MODES

pytest.importorskip("tree_sitter_powershell", reason="needs tree-sitter-powershell (requirements-dev.txt)")
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_powershell.language()))
HOSTILE = ["it's", "'@", "\n'@\n", "@'\n", "‚quotes‛ “too” \x00", '"; exit 9; "', "# no comment <# none #>", EVERYTHING]


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def parsed(code: str) -> list[Node]:
    """All nodes of a text without a mistake."""
    root = PARSER.parse(code.encode()).root_node
    assert not root.has_error, [node.text for node in nodes(root) if node.is_error or node.is_missing]
    return list(nodes(root))


def literals(code: str, kind: str) -> list[str]:
    return [(node.text or b"").decode() for node in parsed(code) if node.type == kind]


@pytest.mark.parametrize("variant", MODES)
def test_the_body_is_one_here_string_that_says_what_was_typed(variant: str) -> None:
    for value in HOSTILE:
        given: dict[str, Any] = {"session_id": value, "tweaks": {value: {value: value}}}
        request = SnippetRequest("http://x", "f", value, **given, **MODES[variant])
        code = write_snippets(request)["powershell"]
        assert code.isascii()  # Windows PowerShell reads a saved file in an old code page
        assert read_body(code) == request.write_body(value)


def read_body(code: str) -> Any:
    [body] = literals(code, "verbatim_here_string_characters")
    return json.loads(body.removeprefix("@'\n").removesuffix("\n'@"))


@pytest.mark.parametrize("variant", MODES)
def test_a_token_and_an_address_are_plain_literals(variant: str) -> None:
    hostile = "it's ‘$(exit)’"
    code = write_snippets(SnippetRequest(f"http://{hostile}", "f", token=hostile, **MODES[variant]))["powershell"]
    said = literals(code, "verbatim_string_characters")
    doubled = "it''s ‘‘$(exit)’’"
    assert f"'{doubled}'" in said
    assert [text for text in said if text.startswith(f"'http://{doubled}/api/v1/run/f")]
    assert "FLOWGROUND_API_KEY" not in code


def test_an_error_ends_a_saved_script_and_no_shell() -> None:
    code = write_snippets(SnippetRequest("http://x", "f"))["powershell"]
    assert "if ($PSCommandPath) { exit 1 }" in code
    assert (code[:4], code[-3:]) == ("& {\n", "\n}\n")
    assert write_export_line("fg_x'y", shell="powershell") == "$env:FLOWGROUND_API_KEY = 'fg_x''y'"
    parsed(write_export_line(shell="powershell"))


def test_files_are_uploaded_under_their_names_and_their_ids_take_the_places_in_the_body() -> None:
    request = SnippetRequest("http://x", "f", "hi", files=["it's.txt", "b.pdf"])
    code = write_snippets(request)["powershell"]
    parsed(code)
    assert "foreach ($name in @('it''s.txt', 'b.pdf'))" in code
    assert read_body(code)["files"] == ["<file 1>", "<file 2>"]
