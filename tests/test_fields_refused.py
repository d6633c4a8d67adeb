"""In which words the fields of a flow are refused to its callers, and what is found by name."""

import pytest

from flowground.core.caller import LOCAL_OWNER as OWNER
from flowground.core.caller import Caller
from flowground.flows.wiring import WiredFlow
from tests.flow_texts import wired
from tests.talk import FLOW, MEMBER, OPENED, TALK

OPEN = (
    "cannot be set here: the flow's author opened `Prompt.tone`, `Model.model`, `Model.temperature`, "
    "`Model.max_tokens`, `History.n_messages`."
)
NOTHING = "cannot be set here: the flow's author opened no field."
NONE, FIELD = "The flow has no component `%s`", "No component of the flow has a field `%s`"
MEANT, FILLED = ": did you mean `%s`?", ": a tweak has no effect there."
SYSTEM = "`Model.system_message` is filled by"
PROTECTED = "The field is protected and keeps the value set by the flow author"
LISTED_NONE = wired(TALK + "api: {overridable: []}\n")


@pytest.mark.parametrize(
    ("flow", "field", "caller", "says", "may_warn"),
    [
        (FLOW, "Prompt.tone", OWNER, None, None),
        (FLOW, "Prompt.topic", OWNER, f"`Prompt.topic` is filled by `${{Topic}}`{FILLED}", True),
        (FLOW, "Model.system_message", OWNER, f"{SYSTEM} `${{Prompt}}` and `${{Topic}}`{FILLED}", True),
        (FLOW, "Model.model", OWNER, f"{PROTECTED}: `Model.model`.", False),
        (FLOW, "Model.code", OWNER, f"{PROTECTED}: `Model.code`.", False),
        (FLOW, "Prompt.tome", OWNER, "`Prompt` has no field `tome`: did you mean `tone`?", True),
        (FLOW, "Prompt.xyz", OWNER, "`Prompt` has no field `xyz`; it has template, topic, tone.", True),
        (FLOW, "Prompt.tone", MEMBER, f"`Prompt.tone` {NOTHING}", True),
        (LISTED_NONE, "Prompt.tone", OWNER, f"`Prompt.tone` {NOTHING}", False),
        (OPENED, "Prompt.tone", OWNER, None, None),
        (OPENED, "Prompt.tone", MEMBER, None, None),
        (OPENED, "Model.model", MEMBER, None, None),
        (OPENED, "Prompt.template", OWNER, f"`Prompt.template` {OPEN}", False),
        (OPENED, "Prompt.template", MEMBER, f"`Prompt.template` {OPEN}", True),
        (OPENED, "Prompt.xyz", OWNER, f"`Prompt.xyz` {OPEN}", True),
        (OPENED, "Prompt.xyz", MEMBER, f"`Prompt.xyz` {OPEN}", True),
        (OPENED, "Prompt.code", MEMBER, f"`Prompt.code` {OPEN}", True),
        (OPENED, "Prompt.code", OWNER, f"{PROTECTED}: `Prompt.code`.", False),
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
        (FLOW, "Modle", OWNER, NONE % "Modle" + MEANT % "Model", FIELD % "Modle" + MEANT % "model"),
        (FLOW, "The topics", OWNER, NONE % "The topics" + MEANT % "The topic", FIELD % "The topics" + MEANT % "Topic"),
        (FLOW, "temperature", OWNER, "A tweak of `temperature` everywhere is a plain value, not an object.", None),
        (FLOW, "qqqq", OWNER, None, FIELD % "qqqq" + "."),
        (FLOW, "Model", MEMBER, *[f"`Model` {NOTHING}"] * 2),
        (OPENED, "xyz", OWNER, *[f"`xyz` {OPEN}"] * 2),
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
    assert FLOW.policy.find_component("The topic", OWNER) == "Topic"
    assert OPENED.policy.find_component("Topic", OWNER) == "Topic"
    assert OPENED.policy.find_component("Topic", MEMBER) is None
    assert OPENED.policy.find_component("Language Model", MEMBER) == "Model"
