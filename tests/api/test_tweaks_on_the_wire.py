"""Tweaks through the API: what the models were really asked (Langflow's recordings: tweak_*.json), and refusals."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.calls import Api
from tests.api.langflow_shapes import events, recording
from tests.api.serving import serving


async def asked(api: Api, tweaks: Any, *, flow: str = "tweaked", **more: Any) -> dict[str, Any]:
    """What each of the two models was asked, by output."""
    response = await api.run(flow, {"input_value": "hi", "tweaks": tweaks, "output_type": "chat"} | more)
    assert response.status_code == 200, response.text
    outputs = response.json()["outputs"][0]["outputs"]
    return {item["component_id"]: json.loads(item["artifacts"]["message"]) for item in outputs}


async def temperatures(api: Api, tweaks: Any, *, flow: str = "tweaked") -> tuple[Any, ...]:
    said = await asked(api, tweaks, flow=flow)
    return tuple(said[name]["options"].get("temperature") for name in ("FirstOut", "SecondOut"))


async def refused(api: Api, tweaks: Any, *, flow: str = "tweaked") -> Any:
    response = await api.run(flow, {"input_value": "hi", "tweaks": tweaks})
    assert response.status_code == 422, response.text
    return response.json()["detail"]


@pytest.mark.parametrize(
    ("tweaks", "found"),
    [
        (None, (0.1, None)),
        ({"First": {"temperature": 0.7}}, (0.7, None)),
        ({"Language Model": {"temperature": 0.7}}, (0.1, 0.7)),  # of several alike the last component
        ({"temperature": 0.4}, (0.4, 0.4)),  # every component that has the field
        ({"temperature": 0.4, "First": {"temperature": 0.9}}, (0.9, 0.4)),  # the specific one wins
        ({"First": {"temperature": 0.9}, "temperature": 0.4}, (0.9, 0.4)),
        ({"temperature": None}, (0.1, None)),  # the author's value, which no global tweak changes
        ({"First": {"temperature": None}, "temperature": 0.4}, (0.1, 0.4)),
    ],
)
async def test_a_tweak_names_a_component_its_display_name_or_a_field_of_all(
    api: Api, tweaks: Any, found: tuple[float, float | None]
) -> None:
    assert await temperatures(api, tweaks) == found


@pytest.mark.parametrize(
    ("field", "given", "sent"),
    [
        ("temperature", "0.9", 0.9),
        ("temperature", {"value": 0.3, "load_from_db": False}, 0.3),
        ("temperature", {"value": None}, 0.1),
        ("max_tokens", 17.9, 17),
    ],
)
async def test_values_are_taken_in_every_form(api: Api, field: str, given: Any, sent: Any) -> None:
    said = await asked(api, {"First": {field: given}})
    assert (said["FirstOut"]["options"][field], said["SecondOut"]["options"]) == (sent, {})


async def test_a_template_may_be_tweaked_and_a_new_variable_in_it_not(api: Api) -> None:
    said = await asked(api, {"Prompt": {"template": "T2 {topic} / {tone}"}})
    assert said["FirstOut"]["messages"][-1]["content"] == "T2 tea / kindly"
    assert "newvar" in (await refused(api, {"Prompt": {"template": "{newvar}"}}))["message"]


async def test_a_text_input_is_tweaked_while_the_message_goes_to_the_chat_input(api: Api) -> None:
    said = await asked(api, {"Topic": {"input_value": "coffee"}})
    assert [one["content"] for one in said["SecondOut"]["messages"]] == ["Talk of coffee, kindly.", "hi"]


async def test_the_chats_may_say_who_spoke(api: Api) -> None:
    """In every place of the answer, in a repeat of it, among the messages and where a model is told them."""
    tweaks = {"Chat Output": {"sender_name": "Dup"}, "Chat Input": {"sender_name": "Ann"}}
    body, key = {"input_value": "hi", "session_id": "s", "tweaks": tweaks}, {"idempotency-key": "who"}
    for _ in range(2):
        [output] = (await api.run("remember", body, headers=key)).json()["outputs"][0]["outputs"]
        message = output["results"]["message"]
        places = (message, message["data"], output["artifacts"], *output["messages"])
        assert [place["sender_name"] for place in places] == ["Dup"] * 4
    told = events((await api.run("remember", body, query="?stream=true")).text)
    assert {one["data"]["sender_name"] for one in told if one["event"] == "add_message"} == {"Ann", "Dup"}
    assert {one["sender_name"] for one in await api.messages(session_id="s")} == {"Ann", "Dup"}
    asked = json.loads(await api.text("remember", {"input_value": "who?", "session_id": "s"}))
    assert asked["messages"][0]["content"].startswith("Ann: hi\nDup: ")


async def test_a_session_id_among_the_tweaks_is_ignored(api: Api) -> None:
    tweaks = {"session_id": "theirs", "ChatInput": {"session_id": "theirs"}}
    response = await api.run("tweaked", {"input_value": "hi", "session_id": "mine", "tweaks": tweaks})
    assert (response.status_code, response.json()["session_id"]) == (200, "mine")


@pytest.mark.parametrize(
    ("tweaks", "field", "says"),
    [
        ({"Frist": {"temperature": 1}}, "Frist", "did you mean `First`?"),
        ({"Second": {"system_message": "x"}}, "system_message", "is filled by `${Prompt}`"),
        ({"First": {"temperature": 99}}, "temperature", "is a number from 0 to 2, not 99"),
        ({"First": {"model": "openai:dear"}}, "model", "protected"),
        ({"First": {"code": "import os"}}, "code", "protected"),
        ({"First": "abc"}, "First", "is an object of fields and values"),
        ({"First": {"temperature": {"value": "VAR", "load_from_db": True}}}, "temperature", "no global variables"),
    ],
)
async def test_what_cannot_be_set_names_field_and_reason(api: Api, tweaks: Any, field: str, says: str) -> None:
    detail = await refused(api, tweaks)
    assert (detail["error"], detail["code"], detail["fields"]) == ("Refused tweaks", "TWEAKS_REFUSED", [field])
    assert detail.keys() == recording("tweak_code_field")["body"]["detail"].keys()
    assert says in detail["message"]


async def test_one_refusal_leaves_everything_as_it_was(api: Api) -> None:
    detail = await refused(api, {"First": {"temperature": 0.7, "code": "x"}, "Nobody": {"a": 1}})
    assert set(detail["fields"]) == {"code", "Nobody"}
    assert await api.messages() == []


async def test_the_input_given_twice_is_refused_in_langflows_words(api: Api) -> None:
    """Before everything else."""
    body = {"input_value": "hi", "tweaks": {"First": {"code": "x"}, "ChatInput": {"input_value": "y"}}}
    response, told = await api.run("tweaked", body), {"code": "input_conflict", "hint": "Send one of the two."}
    theirs = recording("tweak_chat_input_conflict")["body"]
    assert (response.status_code, response.json()) == (400, theirs | told)
    body = {"input_value": "x", "input_type": "text", "tweaks": {"Topic": {"input_value": "y"}}}
    response = await api.run("tweaked", body)
    texts = {"detail": theirs["detail"].replace("chat input", "text input")}
    assert (response.status_code, response.json()) == (400, texts | told)


async def test_the_message_may_be_given_as_a_tweak_alone(api: Api) -> None:
    said = await asked(api, {"ChatInput": {"input_value": "by tweak"}}, input_value=None)
    assert said["SecondOut"]["messages"][-1]["content"] == "by tweak"


async def test_where_the_settings_say_warn_unknown_and_connected_ones_are_warned_of(tmp_path: Path) -> None:
    async with serving(tmp_path, config={"tweaks": {"unknown": "warn"}}) as api:
        tweaks = {"Frist": {"temperature": 1}, "Second": {"system_message": "x"}, "First": {"temperature": 0.7}}
        body = {"input_value": "hi", "tweaks": tweaks}
        for query in ("", "?shape=simple"):
            response = await api.run("tweaked", body, query=query)
            assert response.status_code == 200
            unknown, connected = response.json()["warnings"]
            assert "did you mean `First`?" in unknown
            assert "`${Prompt}`" in connected
        assert await temperatures(api, tweaks) == (0.7, None)
        assert (await refused(api, {"First": {"model": "x"}}))["fields"] == ["model"]


async def test_what_the_author_opened_is_all_there_is_within_its_bounds(api: Api) -> None:
    assert await temperatures(api, {"First": {"temperature": 0.9}}, flow="opened") == (0.9, None)
    says = (await refused(api, {"First": {"temperature": 1.5}}, flow="opened"))["message"]
    assert says == "`First.temperature` is at most 1 here, not 1.5."
    assert "cannot be set here" in (await refused(api, {"Prompt": {"tone": "x"}}, flow="opened"))["message"]


async def test_a_protected_field_that_the_author_opened_may_be_set_to_his_choices(api: Api) -> None:
    body = {"input_value": "hi", "tweaks": {"Second": {"model": "scripted:echo"}}, "output_component": "SecondOut"}
    response = await api.run("opened", body, query="?shape=simple")
    assert response.json()["text"] == "You said: hi"
    assert "is one of" in (await refused(api, {"Second": {"model": "scripted:long"}}, flow="opened"))["message"]
