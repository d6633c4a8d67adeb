"""A flow with two models, and its tweaks, applied and refused."""

from typing import Any

import pytest

from flowground.core.caller import RunRequest
from flowground.core.errors import TweaksRefused
from flowground.flows.tweaks import apply_tweaks
from flowground.flows.wiring import WiredFlow
from tests.flow_texts import wired
from tests.talk import HEAD

_MODELS = """\
  Model-a1b2c:
    type: LanguageModel
    model: scripted
    system_message: ${Prompt}
    input_value: ${ChatInput}
    temperature: 0.1
    max_tokens: 100
  Second: {type: LanguageModel, input_value: "${ChatInput}", system_message: Be brief.}
  ChatOutput: {type: ChatOutput, input_value: "${Model-a1b2c}"}
  TextOutput: {type: TextOutput, input_value: "${Second}"}
"""
_OPENS = """\
api:
  overridable:
    - Prompt.tone
    - {field: Model-a1b2c.model, choices: [scripted, local]}
    - {field: Model-a1b2c.temperature, min: 0, max: 1}
"""
TALK = HEAD + _MODELS
FLOW = wired(TALK)
OPENED = wired(TALK + _OPENS)


def tweak(tweaks: dict[str, Any], *, flow: WiredFlow = FLOW, **request: Any) -> WiredFlow:
    return apply_tweaks(flow, RunRequest(tweaks=tweaks, **request), unknown="refuse").wired


def fields(flow: WiredFlow, name: str, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(flow.components[name], field) for field in names)


def refused(tweaks: dict[str, Any], *, flow: WiredFlow = FLOW) -> str:
    with pytest.raises(TweaksRefused) as caught:
        tweak(tweaks, flow=flow)
    assert caught.value.code == "TWEAKS_REFUSED"
    return caught.value.message
