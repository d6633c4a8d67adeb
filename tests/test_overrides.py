"""What an override comes to: the tweaks of a call, refused where the API refuses them. In an address they come back as
they were, and nothing else comes back at all."""

import base64
import json
import random
import zlib
from dataclasses import replace
from typing import Any

import pytest

from flowground.core.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.core.errors import InvalidRequest, TweaksRefused
from flowground.flows.tweaks import LONGEST_LINK, apply_tweaks, drop_inputs, find_changes, read_link, write_link
from tests.flow_texts import wired
from tests.talk import FLOW, MEMBER, OPENED, PLAIN, SEEING, SETTING, TALK


def test_only_what_differs_is_an_override() -> None:
    seen = FLOW.policy.list_fields(LOCAL_OWNER)
    shown = {name: {key: policy.value for key, policy in policies.items()} for name, policies in seen.items()}
    assert find_changes(FLOW, shown, LOCAL_OWNER) == {}
    shown["Prompt"]["tone"] = "rude"
    shown["Model"] |= {"temperature": "0.10", "max_tokens": 7.9, "stream": False}
    assert find_changes(FLOW, shown, LOCAL_OWNER) == {
        "Prompt": {"tone": "rude"},
        "Model": {"max_tokens": 7, "stream": False},
    }


def test_the_authors_value_outside_the_bounds_is_no_override() -> None:
    assert find_changes(OPENED, {"History": {"n_messages": 100}}, MEMBER) == {}
    with pytest.raises(TweaksRefused, match=r"`History.n_messages` is at most 9.5 here, not 99"):
        find_changes(OPENED, {"History": {"n_messages": 99}}, MEMBER)


OWN = wired(
    f"owners: [olga]\n{TALK}  Api: {{type: APIRequest, url_input: 'https://example.com'}}\n"
    "api: {overridable: [Prompt.tone]}\n"
)
OLGA = Caller(kind="member", id="olga", role="author", unlocks="unlisted")
WRITER = replace(OLGA, unlocks="protected")
CLOSED = {
    "Model.temperature": "unlisted", "Model.model": "protected", "Api.method": "protected", "Api.headers": "never",
    "Api.url_input": "never", "Model.files": "never", "Model.input_value": "never",
}  # fmt: skip


@pytest.mark.parametrize(
    ("caller", "unlocks"),
    [
        (OLGA, {"unlisted"}),
        (WRITER, {"unlisted", "protected"}),
        (WRITER.try_api("answers", "opened"), {"unlisted", "protected"}),
        (replace(WRITER, id="anton"), set()),
        (replace(LOCAL_OWNER, unlocks="protected"), {"unlisted", "protected"}),
        (MEMBER, set()), (PLAIN, set()), (SETTING, set()), (SEEING, set()),
    ],
)  # fmt: skip
def test_who_owns_a_flow_sets_closed_fields_at_a_page_and_no_token_does(caller: Caller, unlocks: set[str]) -> None:
    policies = OWN.policy.fields
    assert set(CLOSED.values()) == {"unlisted", "protected", "never"}
    for field, kind in CLOSED.items():
        name, _, key = field.partition(".")
        assert OWN.policy.may_set(policies[name][key], caller) == (kind in unlocks), field


def test_a_tool_that_an_override_lets_write_is_asked_about() -> None:
    agent = '  Agent: {type: Agent, model: m, input_value: "${ChatInput}", tools: [Api]}\n'
    agent += '  End: {type: TextOutput, input_value: "${Agent}"}\n'
    flow = wired(f"owners: [olga]\n{TALK}  Api: {{type: APIRequest, url_input: 'https://example.com'}}\n{agent}")
    for method, is_asked in (("GET", False), ("DELETE", True)):
        request = RunRequest(tweaks={"Api": {"method": method}})
        changed = apply_tweaks(flow, request, unknown="refuse", caller=WRITER).wired
        assert (changed.tools["Agent"][0].confirms, changed.asks_people) == (is_asked, is_asked)


def test_a_message_takes_the_place_of_the_inputs_override() -> None:
    overrides = {"ChatInput": {"input_value": "x"}, "Topic": {"input_value": "y"}}
    assert drop_inputs(FLOW, overrides) == {"Topic": {"input_value": "y"}}
    assert drop_inputs(FLOW, overrides, input_type="text") == {"ChatInput": {"input_value": "x"}}
    assert drop_inputs(FLOW, overrides, input_type="any") == {}


VALUES: dict[str, dict[str, Any]] = {
    "Prompt": {"template": 'it\'s "so"\n</script> 👋🏽 שלום {x}', "tone": ""},
    "Rows": {"input_data": [{"text": "a", "more": [1, None, {"x": 0.5}]}, {}]},
    "Model-a1b2c": {"temperature": 0.4, "seed": 2**31 - 1, "stream": False, "max_tokens": None},
}


def packed(plain: bytes) -> str:
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.urlsafe_b64encode(packing.compress(plain) + packing.flush()).decode().rstrip("=")


def test_they_come_back_as_they_were() -> None:
    word = write_link(VALUES)
    assert word.isascii()
    assert not set(word) & set("+/=&?#% ")
    assert read_link(word) == VALUES
    assert read_link(write_link({})) == {}


def test_what_would_break_an_address_is_refused() -> None:
    noise = base64.b64encode(random.Random(1).randbytes(LONGEST_LINK)).decode()
    with pytest.raises(InvalidRequest, match="too long for a link"):
        write_link({"Prompt": {"template": noise}})


UNREADABLE = [
    b"not json", b"\xff", b"[1, 2]", b'{"Prompt": "x"}', b'{"Prompt": [1]}', b'{"Model": {"temperature": NaN}}',
    b'{"Model": {"seed": ' + b"9" * 10_000 + b"}}", b"[" * 100_000,
    json.dumps({"Prompt": {"template": "a" * 1_000_000}}).encode(),
]  # fmt: skip
GARBAGE = ["", "x", "!!!", "é" * 8, "A" * (LONGEST_LINK + 1), *map(packed, UNREADABLE)]


def test_anything_else_is_one_sentence() -> None:
    for word in (*GARBAGE, write_link(VALUES)[:-3], write_link(VALUES) + "AAAA"):
        with pytest.raises(InvalidRequest) as caught:
            read_link(word)
        assert caught.value.message == "This link holds no overrides that can be read: it may have been cut off."
