"""What snippets say, parsed: the request that fits a flow, and every value as one literal of its language."""

import ast
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from flowground.api.snippets import (
    CONVERSATION,
    DEFAULT_MESSAGE,
    LANGUAGES,
    SnippetRequest,
    remembers,
    write_answer,
    write_curl,
    write_export_line,
    write_markdown,
    write_snippets,
)
from tests.flow_texts import wired
from tests.servers import clean_environment
from tests.snippet_runs import AS_A_WHOLE, EVERYTHING, HOSTILE, MODES

CHAT = """\
name: Chat
components:
  In: {type: ChatInput}
  Topic: {type: TextInput, input_value: tea}
  Out: {type: ChatOutput, input_value: "${In} ${Topic}"}
"""
TEXT = """\
name: Text
components:
  In: {type: TextInput, input_value: a long story}
  Out: {type: TextOutput, input_value: "${In}"}
"""
DATA = """\
name: Data
components:
  In: {type: ChatInput}
  Facts: {type: StructuredOutput, input_value: "${In}", output_schema: {type: object, properties: {n: {type: number}}}}
  Out: {type: ChatOutput, input_value: "${Facts}"}
"""
POWERSHELL = Parser(Language(tree_sitter_powershell.language()))


def fit(text: str, message: str | None = None, **fields: Any) -> SnippetRequest:
    return SnippetRequest("http://x", "flow", **fields).fit(wired(text), message)


def asking(text: str, message: str | None = None, **fields: Any) -> dict[str, Any]:
    request = fit(text, message, **fields)
    return request.write_body(request.message)


def test_the_request_fits_the_flow() -> None:
    assert asking(CHAT) == {"input_value": DEFAULT_MESSAGE}
    assert asking(CHAT, message="hi", session_id="s") == {"input_value": "hi", "session_id": "s"}
    starters = CHAT + "chat: {starters: [How many days of leave?, And sick leave?]}\n"
    assert asking(starters) == {"input_value": "How many days of leave?"}
    own = starters.replace("In: {type: ChatInput}", "In: {type: ChatInput, input_value: mine}")
    assert asking(own) == {"input_value": "mine"}
    assert asking(TEXT) == {"input_value": "a long story", "input_type": "text", "output_type": "text"}
    assert asking(TEXT, message="hi")["input_value"] == "hi"


@pytest.mark.parametrize("name", ["In", "Chat Input"])
@pytest.mark.parametrize("value", ["what's up?", {"value": "what's up?"}])
def test_a_changed_chat_input_is_the_message(name: str, value: object) -> None:
    tweaks = {name: {"input_value": value}}
    assert asking(CHAT, message="hi", tweaks=tweaks) == {"input_value": "what's up?"}
    assert tweaks == {name: {"input_value": value}}


def test_other_tweaks_stay() -> None:
    tweaks = {"In": {"input_value": "hi", "sender_name": "Ada"}, "Topic": {"input_value": "coffee"}, "temperature": 1}
    assert asking(CHAT, tweaks=tweaks) == {
        "input_value": "hi",
        "tweaks": {"In": {"sender_name": "Ada"}, "Topic": {"input_value": "coffee"}, "temperature": 1},
    }
    assert asking(CHAT, tweaks={"In": {"input_value": None}, "Chat Input": 3}) == {
        "input_value": DEFAULT_MESSAGE,
        "tweaks": {"In": {"input_value": None}, "Chat Input": 3},
    }


def test_code_is_short_and_says_nothing_of_what_the_flow_has_not() -> None:
    for mode in MODES:
        longest = 32 if mode == "stream" else 20
        texts = write_snippets(replace(fit(CHAT), mode=mode))
        for code in texts.values():
            assert len(code.splitlines()) <= longest
            assert max(map(len, code.splitlines())) < 100
            assert not any(word in code for word in ("202", "waiting", "citations", "file", "first", "data?"))
    assert 'answer.get("data", answer["text"])' in write_snippets(fit(DATA))["python"]
    assert '"data"' in write_answer(fit(DATA))
    assert "--file" in write_snippets(fit(CHAT + "chat: {accepts: [text/*]}\n"))["python"]
    memory = CHAT.replace("  Topic", "  Said: {type: MessageHistory}\n  Topic").replace("${Topic}", "${Said}")
    assert (remembers(wired(memory)), remembers(wired(CHAT))) == (True, False)
    for code in write_snippets(fit(CHAT, session_id=CONVERSATION)).values():
        assert [CONVERSATION in line for line in code.splitlines() if "session_id" in line] == [True]


@pytest.mark.parametrize("mode", MODES)
def test_every_value_is_one_literal_in_every_language(mode: Any) -> None:
    tweaks = {"Prompt": dict(HOSTILE), "Model": {"seed": 2**60, "list": ["a", {}]}}
    for message in (EVERYTHING, *AS_A_WHOLE):
        asked = SnippetRequest("http://x", "f", message, "it's mine", tweaks, mode, token="it's «url»")
        texts = write_snippets(asked)
        written = {node.value for node in ast.walk(ast.parse(texts["python"])) if isinstance(node, ast.Constant)}
        assert {message, "it's mine", "it's «url»", 2**60, *HOSTILE.values()} <= written
        first = texts["javascript"].splitlines()[0]
        assert json.loads(first.removeprefix("const message = process.argv[2] ?? ").removesuffix(";")) == message
        assert json.loads(texts["curl"].partition("<<'JSON'\n")[2].removesuffix("JSON\n")) == asked.write_body(message)
        powershell = write_curl(replace(asked, shell="powershell"))
        [body] = literals(powershell, "verbatim_here_string_characters")
        assert json.loads(body.removeprefix("@'\n").removesuffix("\n'@")) == asked.write_body(message)
        assert body.isascii()  # PowerShell pipes it in an old code page
        assert "'x-api-key: it''s «url»'" in literals(powershell, "verbatim_string_characters")


def literals(code: str, kind: str) -> list[str]:
    """Of a text for PowerShell without a mistake."""

    def walk(node: Node) -> Iterator[Node]:
        yield node
        for child in node.children:
            yield from walk(child)

    root = POWERSHELL.parse(code.encode()).root_node
    assert not root.has_error
    return [(node.text or b"").decode() for node in walk(root) if node.type == kind]


def test_what_json_cannot_say_is_refused() -> None:
    for value in (float("nan"), {1, 2}, object()):
        with pytest.raises(ValueError, match="JSON"):
            write_snippets(SnippetRequest("http://x", "f", tweaks={"Model": {"seed": value}}))


def test_code_can_stand_in_a_page_and_the_address_is_one_word_in_every_shell() -> None:
    """zsh takes a bare ? for a pattern."""
    hostile = "</script><!--<SCRIPT>\u2028\u202e"
    code = write_snippets(SnippetRequest("http://x", "f", hostile, tweaks={hostile: {hostile: hostile}}))["javascript"]
    assert not any(word in code.lower() for word in ("</script", "<!--", "<script", "\u2028", "\u202e"))
    request = SnippetRequest("http://x/", "a/../b?c#d")
    assert request.url == "http://x/api/v1/run/a%2F..%2Fb%3Fc%23d?shape=simple"
    assert f"'{request.url}'" in write_snippets(request)["curl"].splitlines()[0]


def test_the_command_that_runs_it_carries_the_codes_own_message() -> None:
    commands = [language.write_command("Write a haiku?") for language in LANGUAGES.values()]
    assert commands[0] == 'python3 python-test-script.py --message="Write a haiku?"'
    assert commands[1:] == ['node test-script.js "Write a haiku?"', "bash test-script.sh"]
    for hostile in ('"', "$HOME", "`x`", "a\\", "!!", "%PATH%", "a\nb", "long " * 20, ""):
        assert LANGUAGES["python"].write_command(hostile) == "python3 python-test-script.py"


def test_the_token_comes_from_the_environment_or_stands_in_the_code() -> None:
    request = SnippetRequest("http://x", "f", token="fg_secret")
    assert all("fg_secret" in code and "FLOWGROUND_API_KEY" not in code for code in write_snippets(request).values())
    assert "FLOWGROUND_API_KEY" not in write_markdown(request, title="f")
    assert "fg_secret" not in repr(request)
    line = write_export_line("fg_x'y", shell="powershell")
    assert line == "$env:FLOWGROUND_API_KEY = 'fg_x''y'"
    assert literals(line, "verbatim_string_characters") == ["'fg_x''y'"]
    for token in ("fg_abc-_123", "it's $HOME `x`"):
        done = subprocess.run(
            ["bash", "-c", f'{write_export_line(token)}\nprintf %s "$FLOWGROUND_API_KEY"'],
            capture_output=True, text=True, check=True, env=clean_environment(),
        )  # fmt: skip
        assert done.stdout == token


def test_markdown_has_a_section_for_every_language_which_survives_its_fence() -> None:
    request = SnippetRequest("http://x", "f", "```\n````` `x`")
    text = write_markdown(request, title="Talk *now* [x](y)")
    export = "```bash\nexport FLOWGROUND_API_KEY=YOUR_TOKEN\n```"
    assert text.startswith(f"# Talk \\*now\\* \\[x\\](y)\n\n{export}\n\n## Python\n\n``````python\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Python", "## JavaScript", "## cURL", "## Answer",
    ]  # fmt: skip
    assert all(f"\n{code}``````\n" in text for code in write_snippets(request).values())
    assert text.endswith("\n\nFor programs, the API is described at http://x/api/openapi.json (OpenAPI).\n")
