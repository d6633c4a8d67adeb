"""Python Function: what of the operator's code a flow and a model may call, and with what."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from flowground.core.caller import RunRequest
from flowground.core.errors import ConfigError, FlowgroundError, TweaksRefused
from flowground.flows.tweaks import apply_tweaks
from flowground.tools.functions import Functions, FunctionSettings
from tests.canary import WORD
from tests.one_step import make_flow, offer, show
from tests.own_functions import Line, called, released
from tests.test_api_request import load, talk
from tests.test_settings import refusal

CONFIG = {"functions": {"modules": ["tests.own_functions"], "seconds": 2}}


def calling(function: str = "find_order", *, as_tool: bool = True, **fields: Any) -> str:
    own = {"type": "PythonFunction", "function": f"tests.own_functions.{function}", **fields}
    return make_flow("Own", own, offer({"use": "Own", "confirm": False}) if as_tool else show("${Own}"))


async def call(folder: Path, flow: str, **arguments: Any) -> str:
    """What the model of an agent is told."""
    called.clear()
    said = await talk(folder, flow, f"call Own {json.dumps(arguments)}", config=CONFIG)
    return said.removeprefix("The tools said: ")


async def test_a_model_is_told_of_a_function_what_its_author_wrote(tmp_path: Path) -> None:
    settings = FunctionSettings.model_validate(CONFIG["functions"])
    found = Functions(settings, Path()).find("tests.own_functions.find_order")
    assert found.description == "Finds an order by its number."
    shape, given = found.parameters, found.parameters["properties"]
    assert (shape["required"], shape["additionalProperties"]) == (["number"], False)
    assert given["number"] == {"title": "Number", "type": "integer", "description": "Number of the order,"}
    assert given["kind"]["description"] == "Which orders are looked at."
    told = json.loads(await call(tmp_path, calling(), number="7", since="2026-03-04"))
    assert told == {"number": 7, "kind": "all", "at": "2026-01-02"}
    ((number, kind, since, thread),) = called
    assert (number, kind, str(since)) == (7, "all", "2026-03-04")
    assert thread.startswith("flowground-function")


async def test_a_step_gives_arguments_as_values_and_as_texts(tmp_path: Path) -> None:
    flow = calling(as_tool=False, arguments={"kind": "open"}, number="${ChatInput}")
    assert json.loads(await talk(tmp_path, flow, "12", config=CONFIG))["number"] == 12
    with pytest.raises(FlowgroundError, match=r"`number` of `tests\.own_functions\.find_order` does not fit"):
        await talk(tmp_path, flow, "twelve", config=CONFIG)


async def test_a_coroutine_takes_what_it_says(tmp_path: Path) -> None:
    flow = calling("place_order", arguments={"secret": "kept"})
    assert await call(tmp_path, flow, lines=[{"article": "tea", "count": 2}, {"article": "milk"}]) == "2 tea, 1 milk"
    assert called == [([Line(article="tea", count=2), Line(article="milk")], "kept")]
    for wrong in ([{"article": "tea", "count": 101}], [{"article": "tea", "price": 1, "count": "x"}], "tea", None):
        said = await call(tmp_path, flow, lines=wrong)
        assert said.startswith("It failed: `lines"), said
    assert called == []


async def test_what_the_author_set_no_model_and_no_caller_changes(tmp_path: Path) -> None:
    flow = calling(arguments={"kind": "open"}, since="2026-01-01")
    for name in ("kind", "since"):
        assert await call(tmp_path, flow, number=1, **{name: "2026-09-09"}) == f"It failed: `{name}` is set already."
    assert "`function`" in await call(tmp_path, flow, number=1, function="os.system")
    assert called == []
    for field in ("function", "arguments", "only_reads"):
        with pytest.raises(TweaksRefused):
            apply_tweaks(load(flow), RunRequest(tweaks={"Own": {field: {"kind": "all"}}}), unknown="refuse")


def test_a_function_counts_as_writing_unless_its_flow_says_otherwise() -> None:
    assert load(calling()).tools["Said"][0].writes
    assert not load(calling(only_reads=True)).tools["Said"][0].writes


@pytest.mark.parametrize(
    "name", ["os.system", "tests.own_functions._hidden", "tests.own_functions.Line", "tests.own_functions.Component",
             "builtins.eval", "tests.own_functions.date", "find_order", ""]
)  # fmt: skip
async def test_only_public_functions_of_named_modules_are_there(name: str, tmp_path: Path) -> None:
    flow = calling(as_tool=False).replace("tests.own_functions.find_order", name or "''")
    with pytest.raises(FlowgroundError, match=r"There is no function|needs `function`"):
        await talk(tmp_path, flow, "x", config=CONFIG)
    with pytest.raises(FlowgroundError, match="There is no function"):
        await talk(tmp_path, calling(as_tool=False), "x", config={})


@pytest.mark.parametrize(
    ("function", "arguments", "says"),
    [
        ("find_order", {"number": -1}, "refuses: numbers begin with 1"),
        ("find_order", {"number": 0}, "`tests.own_functions.find_order` failed."),
        ("leave", {}, "`tests.own_functions.leave` failed."),
        ("find_order", {}, "`number` of `tests.own_functions.find_order` does not fit"),
        ("sleep_well", {"seconds": 60}, "took longer than 2 seconds"),
        ("give_anything", {}, "gives what no JSON can hold"),
    ],
)
async def test_a_call_that_fails_is_a_sentence(function: str, arguments: Any, says: str, tmp_path: Path) -> None:
    said = await call(tmp_path, calling(function), **arguments)
    assert said.startswith("It failed: ")
    assert says in said
    assert WORD not in said


async def test_functions_that_never_return_stop_no_other(caplog: pytest.LogCaptureFixture) -> None:
    functions = Functions(FunctionSettings(modules=("tests.own_functions",), seconds=1), Path())
    wait, find = (functions.find(f"tests.own_functions.{name}").call for name in ("wait_for_release", "find_order"))
    try:
        for _ in range(2):
            done = await asyncio.gather(*(wait({}) for _ in range(8)), return_exceptions=True)
            assert [str(error) for error in done] == [
                "`tests.own_functions.wait_for_release` took longer than 1 seconds."
            ] * 8
            assert (await find({"number": 7}))["number"] == 7
        assert len([line for line in caplog.messages if "has not returned" in line]) == 16
    finally:
        released.set()
        functions.close()


def test_a_module_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "ours_broken.py").write_text("import nothing_like_this\n")
    (tmp_path / "ours_wide.py").write_text("def anything(*args: int) -> None:\n    pass\n")
    for name, says in (("ours_broken", "cannot be imported: ModuleNotFoundError"), ("ours_wide", "no plain name")):
        with pytest.raises(ConfigError, match=says):
            Functions(FunctionSettings(modules=(name,)), tmp_path)
    assert "functions.modules.0: must be names of modules" in refusal(tmp_path, "functions: {modules: ['../evil']}")
