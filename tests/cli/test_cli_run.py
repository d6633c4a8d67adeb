"""`run`: in this process, and by a server's API."""

from typing import Any

import pytest

from tests.command_line import ASK, Here, Said
from tests.fake_run_endpoint import TOKEN, FakeRunEndpoint

streamed_or_not = pytest.mark.parametrize("stream", [(), ("--stream",)], ids=["plain", "stream"])


def by(endpoint: FakeRunEndpoint, here: Here, *arguments: str) -> Said:
    return here("run", *arguments, "--server", endpoint.url)


@streamed_or_not
@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["echo", "--message", 'what\'s "up"\n$HOME'], 'what\'s "up"\n$HOME\n'),
        (["echo"], "nothing said\n"),
        (["echo", "--tweak", "In.input_value=tweaked = twice"], "tweaked = twice\n"),
        (["shout", "--message", "hi"], "calm hi\n"),
        (["loud", "--message", "hi", "--tweak", "Prompt.mood=true"], "true hi\n"),
        (["ask", "--message", "hi there"], "You said: hi there\n"),
    ],
)
def test_run_prints_the_answer(here: Here, stream: tuple[str, ...], arguments: list[str], answer: str) -> None:
    said = here("run", *arguments, *stream)
    assert (said.code, said.out, said.err) == (0, answer, "")


def test_tweaks_are_text_or_json(here: Here) -> None:
    asked = ("run", "ask", "--message", "hi", "--tweak")
    for wrong in ("Model.model:=5", "Model.temperature=hot"):
        said = here(*asked, wrong)
        assert (said.code, wrong[6:11] in said.err) == (1, True)
    said = here(*asked, "Model.temperature:=NaN")
    assert (said.code, "'NaN' after := is not JSON" in said.err) == (2, True)
    said = here(*asked, "Model.temperature:=0.5", "--tweak", "max_tokens=7")
    assert (said.code, said.out) == (0, "You said: hi\n")


@pytest.mark.parametrize(
    ("model", "code", "out", "told"), [("fetching", 0, "You said: hi\n", "MB"), ("fail", 1, "", "Model")]
)
def test_a_model_may_be_waited_for_and_may_fail(here: Here, model: str, code: int, out: str, told: str) -> None:
    (here.folder / "flows" / "ask.yaml").write_text(ASK.replace("scripted", f"scripted:{model}"), "utf-8")
    said = here("run", "ask", "--message", "hi")
    assert (said.code, said.out, told in said.err) == (code, out, True)
    assert not code or said.err.count("\n") == 1


@streamed_or_not
def test_run_asks_a_server(here: Here, endpoint: FakeRunEndpoint, stream: tuple[str, ...]) -> None:
    message = 'what\'s "up"\n$HOME 👋🏽'
    more = ("--session", "s", "--tweak", "Model.seed:=7", *stream)
    said = by(endpoint, here, "a flow", "--message", message, *more)
    assert (said.code, said.out, said.err) == (0, f"You said: {message}\n", "")
    assert endpoint.paths == ["/api/v1/run/a%20flow" + ("?stream=true" if stream else "")]
    assert endpoint.bodies == [{"input_value": message, "session_id": "s", "tweaks": {"Model": {"seed": 7}}}]


def test_what_an_answer_of_a_server_cites_stands_below_it(here: Here, endpoint: FakeRunEndpoint) -> None:
    cited = [
        {"number": 2, "text": "Lyon", "source": "a.pdf", "page": 3, "title": "Travel", "new": 1},
        {"number": 4, "text": "Badges", "source": "b.txt"},
    ]
    of_chat: dict[str, Any] = {"message": "hi", "sender": "Machine", "files": [], "type": "object", "citations": cited}
    for artifacts in (of_chat, {"text": {"raw": "hi", "type": "text", "citations": cited}}):
        endpoint.artifacts = artifacts
        for stream in ((), ("--stream",)):
            said = by(endpoint, here, "echo", "--message", "[2] [4]", *stream)
            assert said.out == "You said: [2] [4]\n[2] a.pdf, page 3: Travel\n[4] b.txt\n"


def test_a_servers_refusal_is_its_sentence_and_hint(
    here: Here, endpoint: FakeRunEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("echo", "--message", "hi")
    endpoint.failure = {"error": "The model is busy.", "hint": "Try again in 5 s."}
    said = by(endpoint, here, *asked, "--stream")
    assert (said.code, said.out, said.err) == (1, "You said: hi", "The model is busy. Try again in 5 s.\n")
    problem = {"type": "literal_error", "loc": ["body", "input_value"], "msg": '`In.input_value` is "a" here.'}
    for status, body, told in (
        (422, {"detail": [problem]}, '`In.input_value` is "a" here.\n'),
        (
            429,
            {"detail": "4 runs.", "code": "rate_limited", "hint": "Try again in 24 s."},
            "4 runs. Try again in 24 s.\n",
        ),
    ):
        endpoint.refusal = (status, body)
        for stream in ((), ("--stream",)):
            said = by(endpoint, here, *asked, *stream)
            assert (said.code, said.out, said.err) == (1, "", told)
    monkeypatch.setenv("FLOWGROUND_API_KEY", "wrong")
    said = by(endpoint, here, *asked)
    assert (said.code, said.out, said.err) == (1, "", "Invalid or missing API key Make one in API access.\n")
    monkeypatch.delenv("FLOWGROUND_API_KEY")
    said = by(endpoint, here, *asked)
    assert (said.code, said.err) == (1, "Set the environment variable FLOWGROUND_API_KEY to an application token.\n")


def test_no_server_is_one_line(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWGROUND_API_KEY", TOKEN)
    said = here("run", "echo", "--server", "http://127.0.0.1:1")
    assert (said.code, said.out) == (1, "")
    assert said.err == "No usable answer from http://127.0.0.1:1/api/v1/run/echo: nothing answers there.\n"
    assert here("run", "echo", "--server", "nowhere").err.count("\n") == 1
