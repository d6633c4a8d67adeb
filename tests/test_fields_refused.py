"""In which words the fields of a flow are refused to its callers, and what is found by name."""

import pytest

from flowground.wiring import WiredFlow
from tests.flow_texts import wired
from tests.talk import FLOW, OPENED, TALK

OPEN = (
    "cannot be set here: the flow's author opened `Prompt.tone`, `Model.model`, `Model.temperature`, "
    "`Model.max_tokens`, `History.n_messages`."
)
NOTHING = "cannot be set here: the flow's author opened no field."
PROTECTED = "The field is protected and keeps the value set by the flow author"
LISTED_NONE = wired(TALK + "api: {overridable: []}\n")


@pytest.mark.parametrize(
    ("flow", "field", "sees_inside", "says", "may_warn"),
    [
        (FLOW, "Prompt.tone", True, None, None),
        (FLOW, "Prompt.topic", True, "`Prompt.topic` is filled by `${Topic}`: a tweak has no effect there.", True),
        (
            FLOW,
            "Model.system_message",
            True,
            "`Model.system_message` is filled by `${Prompt}` and `${Topic}`: a tweak has no effect there.",
            True,
        ),
        (FLOW, "Model.model", True, f"{PROTECTED}: `Model.model`.", False),
        (FLOW, "Model.code", True, f"{PROTECTED}: `Model.code`.", False),
        (FLOW, "Prompt.tome", True, "`Prompt` has no field `tome`: did you mean `tone`?", True),
        (FLOW, "Prompt.xyz", True, "`Prompt` has no field `xyz`; it has template, topic, tone.", True),
        (FLOW, "Prompt.tone", False, f"`Prompt.tone` {NOTHING}", True),
        (
            LISTED_NONE,
            "Prompt.tone",
            True,
            "`Prompt.tone` cannot be set here: the flow's author opened no field.",
            False,
        ),
        (OPENED, "Prompt.tone", True, None, None),
        (OPENED, "Prompt.tone", False, None, None),
        (OPENED, "Model.model", False, None, None),
        (OPENED, "Prompt.template", True, f"`Prompt.template` {OPEN}", False),
        (OPENED, "Prompt.template", False, f"`Prompt.template` {OPEN}", True),
        (OPENED, "Prompt.xyz", True, f"`Prompt.xyz` {OPEN}", True),
        (OPENED, "Prompt.xyz", False, f"`Prompt.xyz` {OPEN}", True),
        (OPENED, "Prompt.code", False, f"`Prompt.code` {OPEN}", True),
        (OPENED, "Prompt.code", True, f"{PROTECTED}: `Prompt.code`.", False),
        (OPENED, "Prompt.topic", False, f"`Prompt.topic` {OPEN}", True),
    ],
)
def test_a_refusal_says_why_and_whether_it_may_be_a_warning(
    flow: WiredFlow, field: str, sees_inside: bool, says: str | None, may_warn: bool | None
) -> None:
    name, _, key = field.partition(".")
    refusal = flow.policy.refuse(name, key, sees_inside=sees_inside)
    assert (refusal and refusal.message, refusal and refusal.may_warn) == (says, may_warn)


@pytest.mark.parametrize(
    ("flow", "key", "sees_inside", "component", "everywhere"),
    [
        (
            FLOW,
            "Modle",
            True,
            "The flow has no component `Modle`: did you mean `Model`?",
            "No component of the flow has a field `Modle`: did you mean `model`?",
        ),
        (
            FLOW,
            "The topics",
            True,
            "The flow has no component `The topics`: did you mean `The topic`?",
            "No component of the flow has a field `The topics`: did you mean `Topic`?",
        ),
        (
            FLOW,
            "temperature",
            True,
            "A tweak of `temperature` everywhere is a plain value, not an object.",
            None,
        ),
        (FLOW, "qqqq", True, None, "No component of the flow has a field `qqqq`."),
        (FLOW, "Model", False, *[f"`Model` {NOTHING}"] * 2),
        (OPENED, "xyz", True, *[f"`xyz` {OPEN}"] * 2),
        (OPENED, "Topic", False, *[f"`Topic` {OPEN}"] * 2),
    ],
)
def test_what_is_not_there_is_refused_mildly(
    flow: WiredFlow, key: str, sees_inside: bool, component: str | None, everywhere: str | None
) -> None:
    for says, refusal in (
        (component, flow.policy.refuse_component(key, sees_inside=sees_inside)),
        (everywhere, flow.policy.refuse_everywhere(key, sees_inside=sees_inside)),
    ):
        assert refusal.may_warn
        assert says is None or refusal.message == says


def test_a_component_is_found_by_what_the_caller_sees_of_it() -> None:
    assert FLOW.policy.find_component("The topic", sees_inside=True) == "Topic"
    assert OPENED.policy.find_component("Topic", sees_inside=True) == "Topic"
    assert OPENED.policy.find_component("Topic", sees_inside=False) is None
    assert OPENED.policy.find_component("Language Model", sees_inside=False) == "Model"
