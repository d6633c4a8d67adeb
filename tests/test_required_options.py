"""Options that a flow's author requires: no run begins without them, whatever door it comes by."""

from pathlib import Path
from typing import Any

import pytest

from flowground.api.snippets import SnippetRequest
from flowground.core.caller import RunRequest
from flowground.core.errors import OptionMissing
from flowground.flows.tweaks import apply_tweaks, list_missing, refuse_missing
from tests.api.serving import serving
from tests.asking import NEEDING
from tests.flow_texts import mistakes, wired

SAYS = '`Your product` is needed: choose one of "Kettle", "Toaster".'
KETTLE = {"Product": {"input_value": "Kettle"}}
OUTER = """\
components:
  ChatInput: {type: ChatInput}
  Sub: {type: RunFlow, flow: ticket, input_value: "${ChatInput}"GIVEN}
  ChatOutput: {type: ChatOutput, input_value: "${Sub}"}
"""


def find_missing(flow: str, tweaks: dict[str, Any], **request: Any) -> list[str]:
    asked = RunRequest(tweaks=tweaks, **request)
    made = apply_tweaks(wired(flow), asked, unknown="refuse").wired
    return [field.key for field in list_missing(made, asked)]


def test_what_is_required_is_missing_while_it_is_empty() -> None:
    flow = NEEDING.replace(", choices: [Kettle, Toaster]", "")
    assert find_missing(flow, {}, input_value="hi") == ["Product.input_value"]
    assert find_missing(flow, {"Product": {"input_value": "  "}}) == ["Product.input_value"]
    assert find_missing(flow, {"Your product": {"input_value": "Kettle"}}) == []
    assert find_missing(flow, {"input_value": "Kettle"}, input_value="hi") == []
    assert find_missing(flow, {}, input_value="hi", input_type="any") == []
    with_default = flow.replace("Your product}", "Your product, input_value: Kettle}")
    assert find_missing(with_default, {}) == []
    assert find_missing(with_default, {"Product": {"input_value": ""}}) == ["Product.input_value"]


def test_each_missing_one_is_named() -> None:
    flow = wired(NEEDING.replace("- Order.input_value", "- {field: Order.input_value, required: true}"))
    with pytest.raises(OptionMissing) as caught:
        refuse_missing(flow, RunRequest("hi"))
    assert caught.value.message == f"{SAYS} `Order number` is needed."
    assert caught.value.hint == (
        'Programs send it among `tweaks`: `{"Product": {"input_value": …}}`, `{"Order": {"input_value": …}}`.'
    )


async def test_the_api_refuses_such_a_run_with_a_code_and_stores_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, flows={"ticket": NEEDING}) as api:
        for query in ("", "?shape=simple", "?stream=true"):
            told, _ = await api.read_outcome("ticket", {"input_value": "hi"}, query=query)
            assert (told["status"], told["code"]) == (422, "option_missing")
            assert told.get("error", told.get("detail")) == SAYS
            assert query == "?stream=true" or '`{"Product": {"input_value": …}}`' in told["hint"]
        assert await api.messages() == []
        said = await api.run("ticket", {"input_value": "hi", "tweaks": KETTLE}, query="?shape=simple")
        assert said.json()["text"] == "You said: Kettle, : hi"


EACH = """\
components:
  Each: {type: ForEach, data: [it smokes], flow: ticket, Product: Kettle}
  ChatOutput: {type: ChatOutput, input_value: "${Each}"}
"""


async def test_a_flow_that_runs_it_gives_it_too_and_who_does_not_is_warned(tmp_path: Path) -> None:
    without, typo = EACH.replace(", Product: Kettle", ""), EACH.replace("Product:", "Prodct:")
    flows = {"ticket": NEEDING, "each": EACH, "each-without": without, "typo": typo}
    flows |= {"without": OUTER.replace("GIVEN", ""), "outer": OUTER.replace("GIVEN", ", Product: Kettle")}
    async with serving(tmp_path, flows=flows) as api:
        for flow, text in (("outer", "hi"), ("each", "it smokes")):
            said = await api.run(flow, {"input_value": "hi"}, query="?shape=simple")
            assert said.json()["text"] == f"You said: Kettle, : {text}"
        failed = await api.run("without", {"input_value": "hi"})
        assert (failed.status_code, failed.json()["detail"]["component"]) == (500, "Sub")
        assert failed.json()["detail"]["message"].endswith("The flow `ticket` needs `Product.input_value`.")
        warnings = api.runtime.catalogue.list_warnings()
    needs = "The flow `ticket` needs `Product`, which is not given: a run that comes here fails."
    unknown = "The flow `ticket` has no input `Prodct`: a run that comes here fails."
    assert {file: [warning.message for warning in found] for file, found in warnings.items()} == {
        "each-without.yaml": [needs], "typo.yaml": [needs, unknown], "without.yaml": [needs],
    }  # fmt: skip


def test_a_snippet_has_an_example_of_it() -> None:
    def fit(flow: str, **more: Any) -> Any:
        return SnippetRequest("http://x", "ticket", **more).fit(wired(flow)).tweaks

    assert fit(NEEDING) == KETTLE
    assert fit(NEEDING.replace("choices: [Kettle, Toaster], ", "")) == {"Product": {"input_value": "Your product"}}
    assert fit(NEEDING, tweaks={"Product": {"input_value": "Toaster"}}) == {"Product": {"input_value": "Toaster"}}
    tweaks = {"Order": {"input_value": "7"}}
    assert fit(NEEDING, tweaks=tweaks) == tweaks | KETTLE


def test_only_what_people_are_asked_for_is_required() -> None:
    entry = "    - {field: Prompt.template, required: true}\n"
    (said,) = mistakes(NEEDING + entry)
    assert said.endswith("`Prompt.template`: `required` is for what people are asked for: add `ask: true`.")
