"""What the pane shows, what the chat takes and what the API accepts agree: every field of every shipped flow."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowground.api import create_api
from flowground.caller import LOCAL_OWNER, Caller
from flowground.errors import FlowgroundError
from flowground.events import TurnFinished
from flowground.overrides import OverrideField, changed, override_fields
from flowground.request import RunRequest
from flowground.runtime import Runtime
from flowground.store import members, publications, tokens
from flowground.store.publications import Sharing
from flowground.wiring import WiredFlow
from tests.running import running
from tests.servers import SHIPPED_FLOWS, shipped_flow

pytestmark = pytest.mark.anyio

NAMES = sorted(path.stem for path in SHIPPED_FLOWS.glob("*.yaml"))
BOUNDED = """\
name: Bounded
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, input_value: "${ChatInput}", temperature: 0.5}
  History: {type: MessageHistory}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
api:
  overridable:
    - {field: Model.temperature, min: 0.25, max: 3}
    - {field: Model.max_tokens, choices: [10, 20]}
    - {field: Model.model, choices: ["scripted:json", "scripted:echo"]}
    - {field: History.n_messages, min: 2}
"""
MEMBER = Caller(kind="member", name="mia", role="member")


def texts() -> dict[str, str]:
    """The shipped flows, answered with what the model was told."""
    shipped = {name: shipped_flow(name).replace("model: scripted", "model: scripted:json") for name in NAMES}
    return shipped | {"bounded": BOUNDED}


@asynccontextmanager
async def api_of(runtime: Runtime, *, owner: str | None) -> AsyncIterator[httpx2.AsyncClient]:
    _, secret = await runtime.store.write(tokens.create, name="x", owner=owner, flows=None, expires_at=None, by="tests")
    transport = httpx2.ASGITransport(app=create_api(lambda: runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://x", headers={"x-api-key": secret}) as client:
        yield client


def probes(field: OverrideField) -> Iterator[Any]:
    """Values that fit, that just do and do not, and that never would."""
    yield from ("probe", True, 0, 1, 0.5, None, 10**9, "7")
    for bound in (field.min, field.max):
        if bound is not None:
            yield from (bound, bound - 1, bound + 1)
    yield from field.choices or ()


async def in_chat(runtime: Runtime, caller: Caller, flow: WiredFlow, tweaks: dict[str, Any]) -> str:
    """The answer, or the refusal's sentence behind a "!"."""
    try:
        async with aclosing(runtime.take_turn(caller, flow, RunRequest(tweaks=tweaks))) as events:
            ends = [event async for event in events if isinstance(event, TurnFinished)]
            return ends[0].outputs[0].text
    except FlowgroundError as error:
        return f"!{error.message}"


async def by_api(client: httpx2.AsyncClient, flow: WiredFlow, tweaks: dict[str, Any]) -> str:
    body = {"tweaks": tweaks, "output_type": "any"}
    answer = (await client.post(f"/api/v1/run/{flow.id}?shape=simple", json=body)).json()
    return str(answer["text"]) if "text" in answer else f"!{answer['detail']['message']}"


def in_pane(flow: WiredFlow, tweaks: dict[str, Any], *, inside: bool) -> str:
    try:
        changed(flow, tweaks, inside=inside)
    except FlowgroundError as error:
        return f"!{error.message}"
    return ""


@pytest.mark.parametrize("inside", [True, False], ids=["author", "member"])
async def test_pane_chat_and_api_agree_on_every_field(tmp_path: Path, inside: bool) -> None:
    async with running(tmp_path, texts(), config={"default_model": "scripted:json"}) as runtime:
        await runtime.store.write(members.add, name="mia", display_name="Mia", role="member", by="tests")
        for name in runtime.catalogue.flows():
            await runtime.store.write(publications.change, flow_id=name, sharing=Sharing(True, api=True), by="tests")
        tried = 0
        async with api_of(runtime, owner=None if inside else "mia") as client:
            for flow in runtime.catalogue.flows().values():
                shown = {item.key: item for group in override_fields(flow, inside=inside) for item in group.fields}
                for field in (item for group in override_fields(flow, inside=True) for item in group.fields):
                    for value in probes(field):
                        said = await agreed(runtime, client, flow, field, value, inside=inside)
                        if field.key not in shown or shown[field.key].locked:
                            assert said.startswith("!"), (flow.id, field.key, value)
                        tried += 1
        assert tried > 300


async def agreed(
    runtime: Runtime, client: httpx2.AsyncClient, flow: WiredFlow, field: OverrideField, value: Any, *, inside: bool
) -> str:
    tweaks = {field.component: {field.name: value}}
    chat = await in_chat(runtime, LOCAL_OWNER if inside else MEMBER, flow, tweaks)
    api = await by_api(client, flow, tweaks)
    assert chat == api, (flow.id, field.key, value)
    if value != field.value:  # the author's own is no override: the pane sends none
        pane = in_pane(flow, tweaks, inside=inside)
        assert pane == (chat if chat.startswith("!") else ""), (flow.id, field.key, value)
    return chat


@pytest.mark.parametrize("inside", [True, False], ids=["author", "member"])
async def test_bounds_in_the_pane_are_bounds_of_the_api(tmp_path: Path, inside: bool) -> None:
    tried = 0
    async with running(tmp_path, texts(), config={"default_model": "scripted:json"}) as runtime:
        for flow in runtime.catalogue.flows().values():
            for field in (item for group in override_fields(flow, inside=inside) for item in group.fields):
                if field.locked:
                    continue
                fits = field.choices or [bound for bound in (field.min, field.max) if bound is not None]
                for value in fits:
                    changed(flow, {field.component: {field.name: value}}, inside=inside)
                    tried += 1
    assert tried > 0
