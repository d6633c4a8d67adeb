"""What snippets look like to their reader, also as Markdown, and what they refuse to say."""

import json
import subprocess
from dataclasses import fields, replace
from typing import Any

import pytest

from flowground.snippets import LANGUAGES, SnippetRequest, answer, write_export_line, write_markdown, write_snippets
from tests.flow_texts import wired
from tests.servers import clean_environment

WORDS = [item.name for item in fields(answer.WORDS)]
SHORT = [name for name in WORDS if name not in ("detail", "hint", "message")]
"""Short code shows a refusal as it is."""


def test_a_reader_sees_a_short_script() -> None:
    request = SnippetRequest("https://flows.example.com/", "basic", "what's up?", tweaks={"Model": {"seed": 1}})
    head, body = write_snippets(request)["curl"].removesuffix("\nJSON\n").split("  --data @- <<'JSON'\n")
    assert head.splitlines()[0].endswith("https://flows.example.com/api/v1/run/basic \\")
    assert '"x-api-key: ${FLOWGROUND_API_KEY:?Set this environment variable to an application token.}"' in head
    assert body == json.dumps({"input_value": "what's up?", "tweaks": {"Model": {"seed": 1}}}, indent=2)
    python = write_snippets(request)["python"]
    assert 'url = "https://flows.example.com/api/v1/run/basic"\n' in python
    assert 'parser.add_argument("--message", default="what\'s up?")\n' in python
    assert len(python.splitlines()) <= 40
    assert len(write_snippets(request)["javascript"].splitlines()) <= 45


def test_the_command_that_runs_it_carries_the_codes_own_message() -> None:
    commands = [LANGUAGES[name].write_command("Write a haiku?") for name in ("python", "javascript", "curl")]
    assert commands[0] == 'python3 python-test-script.py --message="Write a haiku?"'
    assert commands[1:] == ['node test-script.js "Write a haiku?"', "bash test-script.sh"]
    for hostile in ('"', "$HOME", "`x`", "a\\", "!!", "%PATH%", "a\nb", "long " * 20, ""):
        assert LANGUAGES["python"].write_command(hostile) == "python3 python-test-script.py"


def test_code_can_stand_in_a_page() -> None:
    hostile = "</script><!--<SCRIPT>\u2028\u202e"
    code = write_snippets(SnippetRequest("http://x", "f", hostile, tweaks={hostile: {hostile: hostile}}))["javascript"]
    assert not any(word in code.lower() for word in ("</script", "<!--", "<script", "\u2028", "\u202e"))


def test_the_flow_is_part_of_the_address_and_the_address_one_word_in_every_shell() -> None:
    """zsh takes a bare ? for a pattern."""
    request = SnippetRequest("http://x/", "a/../b?c#d", stream=True)
    assert request.url == "http://x/api/v1/run/a%2F..%2Fb%3Fc%23d?stream=true"
    assert f"'{request.url}'" in write_snippets(request)["curl"].splitlines()[0]


def test_code_says_nothing_of_what_the_flow_has_not() -> None:
    plain = wired('components:\n  In: {type: ChatInput}\n  Out: {type: ChatOutput, input_value: "${In}"}\n')
    for shape in ("langflow", "simple"):
        code = "".join(write_snippets(SnippetRequest("http://x", "it", shape=shape, token="t").fit(plain)).values())
        assert not any(word in code.replace("PSCommandPath", "") for word in ("202", "citations", "file"))


def test_what_json_cannot_say_is_refused() -> None:
    request = SnippetRequest("http://x", "f")
    for value in (float("nan"), {1, 2}, object()):
        with pytest.raises(ValueError, match="JSON"):
            write_snippets(replace(request, tweaks={"Model": {"seed": value}}))


@pytest.mark.parametrize("handles_errors", [True, False])
@pytest.mark.parametrize("language", ["python", "javascript", "powershell"])
def test_another_word_on_the_wire_is_another_word_in_every_language(
    language: str, handles_errors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = SnippetRequest("http://x", "f", handles_errors=handles_errors)
    asked = (plain, replace(plain, shape="simple", cites=True), replace(plain, stream=True))
    before, words = [write_snippets(request)[language] for request in asked], answer.WORDS
    for name in WORDS if handles_errors else SHORT:
        word = getattr(words, name)
        other: Any = "another_word" if isinstance(word, str) else ("another_word", *word[1:])
        monkeypatch.setattr(answer, "WORDS", replace(words, **{name: other}))
        changed = [text for request in asked if (text := write_snippets(request)[language]) not in before]
        assert changed, name
        assert all("another_word" in text for text in changed), name


def test_every_language_has_its_section_and_survives_its_fence() -> None:
    request = SnippetRequest("http://x", "f", "```\n````` `x`")
    texts = write_snippets(request)
    said = write_markdown(request, title="Talk *now* [x](y)")
    export = "```bash\nexport FLOWGROUND_API_KEY=YOUR_TOKEN\n```\n"
    assert said.startswith(f"# Talk \\*now\\* \\[x\\](y)\n\n## Python\n\n{export}")
    heads = [line for line in said.splitlines() if line.startswith("## ")]
    assert heads == ["## Python", "## JavaScript", "## cURL", "## PowerShell"]
    assert said.endswith("\n\nFor programs, the API is described at http://x/api/openapi.json (OpenAPI).\n")
    for language, code in texts.items():
        assert code in said
        assert f"Saved, it runs as `{LANGUAGES[language].command}`." in said
    assert blocks(said) == [
        part
        for name, code in texts.items()
        for part in (write_export_line(shell=LANGUAGES[name].shell), code.removesuffix("\n"))
    ]


def test_code_that_holds_its_token_needs_no_line_for_it() -> None:
    request = SnippetRequest("http://x", "f", token="fg_secret")
    short = write_snippets(replace(request, handles_errors=False))
    texts = [*write_snippets(request).values(), *short.values()]
    assert len(texts) == 8
    assert all("fg_secret" in code and "FLOWGROUND_API_KEY" not in code for code in texts)
    assert "FLOWGROUND_API_KEY" not in write_markdown(request, title="f")
    assert "fg_secret" not in repr(request)


@pytest.mark.parametrize("token", ["fg_abc-_123", "it's $HOME `x`"])
def test_bash_reads_the_line_as_it_is_meant(token: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f'{write_export_line(token)}\nprintf %s "$FLOWGROUND_API_KEY"'],
        capture_output=True, text=True, check=True, env=clean_environment(),
    )  # fmt: skip
    assert done.stdout == token


def blocks(markdown: str) -> list[str]:
    """The contents of fenced blocks, as CommonMark reads them."""
    found: list[str] = []
    fence, lines = "", list[str]()
    for line in markdown.split("\n"):
        run = line[: len(line) - len(line.lstrip("`"))]
        if not fence and len(run) >= 3:
            fence, lines = run, []
        elif fence and line.strip("`") == "" and len(run) >= len(fence):
            found.append("\n".join(lines))
            fence = ""
        elif fence:
            lines.append(line)
    assert not fence
    return found
