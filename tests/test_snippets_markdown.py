"""Copy all as Markdown, and the line that sets the token."""

import subprocess

import pytest

from flowground.snippets import LANGUAGES, SnippetRequest, write_export_line, write_markdown, write_snippets
from tests.servers import clean_environment

REQUEST = SnippetRequest("http://x", "f", "```\n````` `x`")


def test_every_language_has_its_section_and_survives_its_fence() -> None:
    texts = write_snippets(REQUEST)
    said = write_markdown(REQUEST, title="Talk *now* [x](y)")
    assert said.startswith(
        "# Talk \\*now\\* \\[x\\](y)\n\n## Python\n\n```bash\nexport FLOWGROUND_API_KEY=YOUR_TOKEN\n```\n"
    )
    assert [line for line in said.splitlines() if line.startswith("## ")] == [
        "## Python",
        "## JavaScript",
        "## cURL",
        "## PowerShell",
    ]
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
    texts = write_snippets(request)
    assert len(texts) == 4
    assert all("fg_secret" in code and "FLOWGROUND_API_KEY" not in code for code in texts.values())
    assert "FLOWGROUND_API_KEY" not in write_markdown(request, title="f")
    assert "fg_secret" not in repr(SnippetRequest("http://x", "f", token="fg_secret"))


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
