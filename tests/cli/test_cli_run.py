"""`run`: in this process, and by a server's API."""

from typing import Any

import pytest

from tests.asking import NEEDING
from tests.command_line import Here
from tests.fake_run_endpoint import TOKEN, FakeRunEndpoint

BOTH = """\
components:
  In: {type: ChatInput}
  Topic: {type: TextInput}
  Out: {type: ChatOutput, input_value: "${In} ${Topic}"}
"""


@pytest.mark.parametrize("stream", [(), ("--stream",)], ids=["plain", "stream"])
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
    said = here(
        "run", "ask", "--message", "hi", "--tweak", "Model.model:=null", "--tweak", "Language Model.temperature=0.5"
    )
    assert said.code == 1
    assert "model" in said.err
    said = here("run", "ask", "--message", "hi", "--tweak", "Model.temperature:=0.5", "--tweak", "max_tokens=7")
    assert (said.code, said.out) == (0, "You said: hi\n")
    said = here("run", "ask", "--message", "hi", "--tweak", "Model.temperature=hot")
    assert said.code == 1
    assert "temperature" in said.err


def test_run_continues_a_session(here: Here) -> None:
    for _ in range(2):
        assert here("run", "echo", "--message", "again", "--session", "mine").out == "again\n"


def test_an_unknown_flow_is_answered_with_the_nearest_name(here: Here) -> None:
    said = here("run", "ecko", "--message", "hi")
    assert (said.code, said.out, said.err) == (1, "", "There is no flow ecko (did you mean echo?).\n")


def test_a_model_that_is_being_fetched_is_waited_for(here: Here) -> None:
    ask = (here.folder / "flows" / "ask.yaml").read_text("utf-8")
    (here.folder / "flows" / "ask.yaml").write_text(ask.replace("scripted", "scripted:fetching"), encoding="utf-8")
    said = here("run", "ask", "--message", "hi")
    assert (said.code, said.out) == (0, "You said: hi\n")
    assert "MB" in said.err


def test_a_failing_model_is_one_line(here: Here) -> None:
    ask = (here.folder / "flows" / "ask.yaml").read_text("utf-8")
    (here.folder / "flows" / "ask.yaml").write_text(ask.replace("scripted", "scripted:fail"), "utf-8")
    said = here("run", "ask", "--message", "hi")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert "Model" in said.err


@pytest.mark.parametrize("stream", [(), ("--stream",)], ids=["plain", "stream"])
def test_run_asks_a_server(here: Here, endpoint: FakeRunEndpoint, stream: tuple[str, ...]) -> None:
    message = 'what\'s "up"\n$HOME 👋🏽'
    said = here(
        "run",
        "a flow",
        "--message",
        message,
        "--session",
        "s",
        "--tweak",
        "Model.seed:=7",
        "--server",
        endpoint.url,
        *stream,
    )
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
            said = here("run", "echo", "--message", "[2] [4]", "--server", endpoint.url, *stream)
            assert said.out == "You said: [2] [4]\n[2] a.pdf, page 3: Travel\n[4] b.txt\n"


def test_a_server_gives_the_message_to_the_inputs_that_get_it_here(here: Here, endpoint: FakeRunEndpoint) -> None:
    endpoint.described = {"id": "shout", "input_type": "text"}
    assert here("run", "shout", "--message", "hi", "--server", endpoint.url).code == 0
    assert here("run", "shout", "--message", "hi", "--server", endpoint.url, "--input-type", "any").code == 0
    endpoint.described = {"id": "shout", "input_type": "sung"}
    assert here("run", "shout", "--message", "hi", "--server", endpoint.url).code == 0
    assert [body.get("input_type") for body in endpoint.bodies] == ["text", "any", None]


def test_an_input_given_twice_says_what_to_do(here: Here) -> None:
    (here.folder / "flows" / "both.yaml").write_text(BOTH, "utf-8")
    tweaked = ("run", "both", "--message", "hi", "--tweak", "Topic.input_value=tea")
    assert here(*tweaked).out == "hi tea\n"
    said = here(*tweaked, "--input-type", "any")
    assert said.code == 1
    assert said.err.endswith(
        "Send one of the two, or `input_type: chat`: then the message goes to Chat Inputs alone.\n"
    )


def test_a_servers_refusal_is_its_sentence_and_hint(
    here: Here, endpoint: FakeRunEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.failure = {"error": "The model is busy.", "hint": "Try again in 5 s."}
    said = here("run", "echo", "--message", "hi", "--stream", "--server", endpoint.url)
    assert (said.code, said.out, said.err) == (1, "You said: hi", "The model is busy. Try again in 5 s.\n")
    monkeypatch.setenv("FLOWGROUND_API_KEY", "wrong")
    said = here("run", "echo", "--message", "hi", "--server", endpoint.url)
    assert (said.code, said.out) == (1, "")
    assert said.err == "Invalid or missing API key Make one in API access.\n"
    monkeypatch.delenv("FLOWGROUND_API_KEY")
    said = here("run", "echo", "--message", "hi", "--server", endpoint.url)
    assert (said.code, said.err) == (1, "Set the environment variable FLOWGROUND_API_KEY to an application token.\n")


def test_a_message_that_does_not_fit_is_told_in_words(here: Here, endpoint: FakeRunEndpoint) -> None:
    problem = {"type": "literal_error", "loc": ["body", "input_value"], "msg": '`In.input_value` is "a" here.'}
    endpoint.refusal = (422, {"detail": [problem]})
    said = here("run", "echo", "--message", "hi", "--server", endpoint.url)
    assert (said.code, said.out, said.err) == (1, "", '`In.input_value` is "a" here.\n')


def test_a_limit_of_the_server_says_when_to_come_back(
    here: Here, endpoint: FakeRunEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWGROUND_API_KEY", TOKEN)
    hint = "Try again in 24 s. The limit is set by limits.runs_per_minute."
    endpoint.refusal = (429, {"detail": "This token may start 4 runs a minute.", "code": "rate_limited", "hint": hint})
    for stream in ((), ("--stream",)):
        said = here("run", "echo", "--message", "hi", "--server", endpoint.url, *stream)
        assert (said.code, said.out, said.err) == (1, "", f"This token may start 4 runs a minute. {hint}\n")


def test_no_server_is_one_line(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWGROUND_API_KEY", TOKEN)
    said = here("run", "echo", "--server", "http://127.0.0.1:1")
    assert (said.code, said.out) == (1, "")
    assert said.err == "No usable answer from http://127.0.0.1:1/api/v1/run/echo: nothing answers there.\n"
    assert here("run", "echo", "--server", "nowhere").err.count("\n") == 1


def test_an_option_that_is_required_is_named(here: Here) -> None:
    (here.folder / "flows" / "ticket.yaml").write_text(NEEDING, "utf-8")
    said = here("run", "ticket", "--message", "hi")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith('`Your product` is needed: choose one of "Kettle", "Toaster".')
    assert here("run", "ticket", "--message", "hi", "--tweak", "Product.input_value=Kettle").code == 0
