"""What a snippet looks like to its reader, and what it refuses to say."""

from dataclasses import fields, replace
from typing import Any

import pytest

from flowground.snippets import DEFAULT_MESSAGE, LANGUAGES, SnippetRequest, answer, write_snippets

WORDS = [item.name for item in fields(answer.WORDS)]
SHORT = [name for name in WORDS if name not in ("detail", "hint", "message")]
"""Short code shows a refusal as it is."""


def test_a_reader_sees_a_short_script() -> None:
    request = SnippetRequest("https://flows.example.com/", "basic", "what's up?", tweaks={"Model": {"seed": 1}})
    assert write_snippets(request)["curl"] == (
        "curl --silent --show-error --fail-with-body https://flows.example.com/api/v1/run/basic \\\n"
        '  --header "x-api-key: ${FLOWGROUND_API_KEY:?Set this environment variable to an application token.}" \\\n'
        '  --header "Content-Type: application/json" \\\n'
        '  --write-out "\\n" \\\n'
        "  --data @- <<'JSON'\n"
        "{\n"
        '  "input_value": "what\'s up?",\n'
        '  "tweaks": {\n'
        '    "Model": {\n'
        '      "seed": 1\n'
        "    }\n"
        "  }\n"
        "}\n"
        "JSON\n"
    )
    python = write_snippets(request)["python"]
    assert 'url = "https://flows.example.com/api/v1/run/basic"\n' in python
    assert 'parser.add_argument("--message", default="what\'s up?")\n' in python
    assert len(python.splitlines()) <= 40
    assert len(write_snippets(request)["javascript"].splitlines()) <= 45
    ways = [LANGUAGES[name].write_command(DEFAULT_MESSAGE) for name in ("python", "javascript")]
    assert ways[0] == 'python3 python-test-script.py --message="tell me about something interesting"'
    assert ways[1] == 'node test-script.js "tell me about something interesting"'


def test_the_short_script_is_ten_lines() -> None:
    request = SnippetRequest("https://flows.example.com/", "basic", handles_errors=False)
    assert write_snippets(request)["python"] == (
        "import argparse, os, sys, requests  # pip install requests\n"
        "\n"
        "parser = argparse.ArgumentParser()\n"
        'parser.add_argument("--message", default="tell me about something interesting")\n'
        'payload = {"input_value": parser.parse_args().message}\n'
        'token = os.environ.get("FLOWGROUND_API_KEY") or sys.exit("Set FLOWGROUND_API_KEY to a token first.")\n'
        'response = requests.post("https://flows.example.com/api/v1/run/basic", json=payload, '
        'headers={"x-api-key": token})\n'
        "response.ok or sys.exit(response.text)\n"
        'for output in response.json()["outputs"][0]["outputs"]:\n'
        '    print(output["messages"][0]["message"])\n'
    )
    assert write_snippets(request)["curl"] == (
        "curl -sS -w '\\n' https://flows.example.com/api/v1/run/basic \\\n"
        '  --header "x-api-key: $FLOWGROUND_API_KEY" \\\n'
        '  --header "Content-Type: application/json" \\\n'
        "  --data @- <<'JSON'\n"
        '{"input_value": "tell me about something interesting"}\n'
        "JSON\n"
    )
    assert len(write_snippets(request)["javascript"].splitlines()) == 14
    with_token = write_snippets(replace(request, token="fg_x"))
    assert len(with_token["javascript"].splitlines()) == 12
    assert all("fg_x" in code and "FLOWGROUND_API_KEY" not in code for code in with_token.values())


def test_the_command_that_runs_it_carries_the_codes_own_message() -> None:
    python, javascript, curl = (LANGUAGES[name] for name in ("python", "javascript", "curl"))
    assert python.write_command("Write a haiku?") == 'python3 python-test-script.py --message="Write a haiku?"'
    assert javascript.write_command("Write a haiku?") == 'node test-script.js "Write a haiku?"'
    assert curl.write_command("Write a haiku?") == "bash test-script.sh"
    for hostile in ('"', "$HOME", "`x`", "a\\", "!!", "%PATH%", "a\nb", "long " * 20, ""):
        assert python.write_command(hostile) == "python3 python-test-script.py"


def test_types_other_than_chat_are_said() -> None:
    request = SnippetRequest("http://x", "f", input_type="text", output_type="text")
    assert request.write_body("hi") == {"input_value": "hi", "input_type": "text", "output_type": "text"}


def test_code_can_stand_in_a_page() -> None:
    hostile = "</script><!--<SCRIPT>\u2028\u202e"
    code = write_snippets(SnippetRequest("http://x", "f", hostile, tweaks={hostile: {hostile: hostile}}))["javascript"]
    assert not any(word in code.lower() for word in ("</script", "<!--", "<script", "\u2028", "\u202e"))


def test_the_flow_is_part_of_the_address_and_no_more() -> None:
    assert SnippetRequest("http://x/", "a/../b?c#d", stream=True).url == (
        "http://x/api/v1/run/a%2F..%2Fb%3Fc%23d?stream=true"
    )


def test_the_address_is_one_word_in_every_shell() -> None:
    """zsh takes a bare ? for a pattern."""
    command = write_snippets(SnippetRequest("http://127.0.0.1:8501", "f", stream=True))["curl"]
    assert "'http://127.0.0.1:8501/api/v1/run/f?stream=true'" in command.splitlines()[0]


def test_what_json_cannot_say_is_refused() -> None:
    request = SnippetRequest("http://x", "f")
    for value in (float("nan"), {1, 2}, object()):
        with pytest.raises(ValueError, match="JSON"):
            write_snippets(replace(request, tweaks={"Model": {"seed": value}}))


@pytest.mark.parametrize(
    ("handles_errors", "name"), [*((True, name) for name in WORDS), *((False, name) for name in SHORT)]
)
@pytest.mark.parametrize("language", ["python", "javascript", "powershell"])
def test_another_word_on_the_wire_is_another_word_in_every_language(
    language: str, name: str, handles_errors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def texts() -> list[str]:
        plain = SnippetRequest("http://x", "f", handles_errors=handles_errors)
        asked = (plain, replace(plain, shape="simple", cites=True), replace(plain, stream=True))
        return [write_snippets(request)[language] for request in asked]

    before, word = texts(), getattr(answer.WORDS, name)
    other: Any = "another_word" if isinstance(word, str) else ("another_word", *word[1:])
    monkeypatch.setattr(answer, "WORDS", replace(answer.WORDS, **{name: other}))
    changed = [text for old, text in zip(before, texts(), strict=True) if text != old]
    assert changed
    assert all("another_word" in text for text in changed)
