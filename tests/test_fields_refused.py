"""In which words the fields of a flow are refused to its callers, and what is found by name."""

import pytest

from flowground.caller import LOCAL_OWNER, Caller
from flowground.wiring import WiredFlow
from tests.flow_texts import wired
from tests.talk import FLOW, MEMBER, OPENED, TALK

OPEN = (
    "cannot be set here: the flow's author opened `Prompt.tone`, `Model.model`, `Model.temperature`, "
    "`Model.max_tokens`, `History.n_messages`."
)
NOTHING = "cannot be set here: the flow's author opened no field."
PROTECTED = "The field is protected and keeps the value set by the flow author"
LISTED_NONE = wired(TALK + "api: {overridable: []}\n")


@pytest.mark.parametrize(
    ("flow", "field", "caller", "says", "may_warn"),
    [
        (FLOW, "Prompt.tone", LOCAL_OWNER, None, None),
        (
            FLOW,
            "Prompt.topic",
            LOCAL_OWNER,
            "`Prompt.topic` is filled by `${Topic}`: a tweak has no effect there.",
            True,
        ),
        (
            FLOW,
            "Model.system_message",
            LOCAL_OWNER,
            "`Model.system_message` is filled by `${Prompt}` and `${Topic}`: a tweak has no effect there.",
            True,
        ),
        (FLOW, "Model.model", LOCAL_OWNER, f"{PROTECTED}: `Model.model`.", False),
        (FLOW, "Model.code", LOCAL_OWNER, f"{PROTECTED}: `Model.code`.", False),
        (FLOW, "Prompt.tome", LOCAL_OWNER, "`Prompt` has no field `tome`: did you mean `tone`?", True),
        (FLOW, "Prompt.xyz", LOCAL_OWNER, "`Prompt` has no field `xyz`; it has template, topic, tone.", True),
        (FLOW, "Prompt.tone", MEMBER, f"`Prompt.tone` {NOTHING}", True),
        (
            LISTED_NONE,
            "Prompt.tone",
            LOCAL_OWNER,
            "`Prompt.tone` cannot be set here: the flow's author opened no field.",
            False,
        ),
        (OPENED, "Prompt.tone", LOCAL_OWNER, None, None),
        (OPENED, "Prompt.tone", MEMBER, None, None),
        (OPENED, "Model.model", MEMBER, None, None),
        (OPENED, "Prompt.template", LOCAL_OWNER, f"`Prompt.template` {OPEN}", False),
        (OPENED, "Prompt.template", MEMBER, f"`Prompt.template` {OPEN}", True),
        (OPENED, "Prompt.xyz", LOCAL_OWNER, f"`Prompt.xyz` {OPEN}", True),
        (OPENED, "Prompt.xyz", MEMBER, f"`Prompt.xyz` {OPEN}", True),
        (OPENED, "Prompt.code", MEMBER, f"`Prompt.code` {OPEN}", True),
        (OPENED, "Prompt.code", LOCAL_OWNER, f"{PROTECTED}: `Prompt.code`.", False),
        (OPENED, "Prompt.topic", MEMBER, f"`Prompt.topic` {OPEN}", True),
    ],
)
def test_a_refusal_says_why_and_whether_it_may_be_a_warning(
    flow: WiredFlow, field: str, caller: Caller, says: str | None, may_warn: bool | None
) -> None:
    name, _, key = field.partition(".")
    refusal = flow.policy.refuse(name, key, caller=caller)
    assert (refusal and refusal.message, refusal and refusal.may_warn) == (says, may_warn)


@pytest.mark.parametrize(
    ("flow", "key", "caller", "component", "everywhere"),
    [
        (
            FLOW,
            "Modle",
            LOCAL_OWNER,
            "The flow has no component `Modle`: did you mean `Model`?",
            "No component of the flow has a field `Modle`: did you mean `model`?",
        ),
        (
            FLOW,
            "The topics",
            LOCAL_OWNER,
            "The flow has no component `The topics`: did you mean `The topic`?",
            "No component of the flow has a field `The topics`: did you mean `Topic`?",
        ),
        (
            FLOW,
            "temperature",
            LOCAL_OWNER,
            "A tweak of `temperature` everywhere is a plain value, not an object.",
            None,
        ),
        (FLOW, "qqqq", LOCAL_OWNER, None, "No component of the flow has a field `qqqq`."),
        (FLOW, "Model", MEMBER, *[f"`Model` {NOTHING}"] * 2),
        (OPENED, "xyz", LOCAL_OWNER, *[f"`xyz` {OPEN}"] * 2),
        (OPENED, "Topic", MEMBER, *[f"`Topic` {OPEN}"] * 2),
    ],
)
def test_what_is_not_there_is_refused_mildly(
    flow: WiredFlow, key: str, caller: Caller, component: str | None, everywhere: str | None
) -> None:
    for says, refusal in (
        (component, flow.policy.refuse_component(key, caller)),
        (everywhere, flow.policy.refuse_everywhere(key, caller)),
    ):
        assert refusal.may_warn
        assert says is None or refusal.message == says


def test_a_component_is_found_by_what_the_caller_sees_of_it() -> None:
    assert FLOW.policy.find_component("The topic", LOCAL_OWNER) == "Topic"
    assert OPENED.policy.find_component("Topic", LOCAL_OWNER) == "Topic"
    assert OPENED.policy.find_component("Topic", MEMBER) is None
    assert OPENED.policy.find_component("Language Model", MEMBER) == "Model"
