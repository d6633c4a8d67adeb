"""A runtime on a temporary folder with flows given as text; shared by tests of runner, turns, runtime and access.

An organization in this process, whose people are in the database: an author owns a flow.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowground.app import endpoint
from flowground.app.authorize import PersonChatting
from flowground.app.live_turns import LiveTurn
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.core.errors import RunStopped, ShuttingDown
from flowground.core.events import Event, TurnFinished
from flowground.flows import folder as loader
from flowground.flows.wiring import WiredFlow
from flowground.settings import Settings
from flowground.store.people import members
from tests.people import HASHED, ROLES, make_cookie
from tests.servers import write_folder


@asynccontextmanager
async def running(
    folder: Path, flows: Mapping[str, str], *, config: Mapping[str, Any] | None = None
) -> AsyncIterator[Runtime]:
    """The runtime, started on this loop; closed at the end."""
    path = write_folder(folder, config={"default_model": "scripted"} | dict(config or {}), flows=flows)
    runtime = Runtime(Settings.load(path))
    await runtime.start()
    try:
        yield runtime
    finally:
        await runtime.close()


def look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the folder of flows is looked at for every question, however soon, and waited for; also where another
    look is under way, which may have passed the file before it was changed."""
    monkeypatch.setattr(loader, "_LOOK_EVERY", 0)
    monkeypatch.setattr(loader, "_LOOK_WAIT", 60)
    monkeypatch.setattr(loader.Catalogue, "_look_alone", partialmethod(loader.Catalogue._look_alone, waits=True))


async def start_turn(runtime: Runtime, caller: Caller, address: str, request: RunRequest) -> LiveTurn:
    """A turn as a playground starts it."""
    person = PersonChatting(caller, request.session_id or "")
    return (await endpoint.answer(runtime, person, address=address, ask=request)).start()


def take_turn(runtime: Runtime, caller: Caller, wired: WiredFlow, request: RunRequest) -> AsyncGenerator[Event, None]:
    """A turn that ends when its reader stops, as the API's do."""
    return endpoint.Answer(runtime, caller, wired, request).stream_events()


async def hear_turn(runtime: Runtime, flow: str, said: str, *, stream: bool = False) -> list[Event]:
    """All that a turn of the local owner's tells."""
    wired = await runtime.access.open_flow(LOCAL_OWNER, flow)
    request = RunRequest(said, session_id="s", stream=stream)
    return [event async for event in take_turn(runtime, LOCAL_OWNER, wired, request)]


def read_end(events: Sequence[Event]) -> TurnFinished:
    end = events[-1]
    assert isinstance(end, TurnFinished)
    return end


async def watch(turn: LiveTurn) -> AsyncGenerator[Event, None]:
    """What the turn tells, from its start to its end; raises a failed turn's error, not that of a stopped one."""
    with suppress(RunStopped, ShuttingDown):
        async with aclosing(turn.follow()) as events:
            async for event in events:
                yield event


def chat_flow(model: str, name: str = "Chat") -> str:
    """A flow that hands what is said to a scripted model and shows its answer."""
    components = {
        "ChatInput": {"type": "ChatInput"},
        "Model": {"type": "LanguageModel", "model": model, "input_value": "${ChatInput}"},
        "ChatOutput": {"type": "ChatOutput", "input_value": "${Model}"},
    }
    return yaml.safe_dump({"name": name, "components": components}, sort_keys=False)


FLOWS = {
    "talk": "owners: [olga]\n" + chat_flow("scripted", "Talk"),
    "other": "owners: [nobody]\n" + chat_flow("scripted", "Other"),
}


@asynccontextmanager
async def organization(
    folder: Path, flows: Mapping[str, str] = FLOWS, *, config: dict[str, Any] | None = None
) -> AsyncIterator[Runtime]:
    """Those of tests/people.py (olga owns the flow "talk"), and anton, another author. Only zoe has no password."""
    async with running(folder, flows, config=config) as runtime:
        for name, role in {**ROLES, "anton": "author"}.items():
            await runtime.store.write(
                members.add,
                name=name,
                display_name=name.title(),
                role=role,
                email=f"{name}@example.com",
                password=None if name == "zoe" else HASHED,
                by="tests",
            )
        yield runtime


async def sign_in(runtime: Runtime, name: str) -> Caller:
    caller = await runtime.sign_in.verify_cookie(await make_cookie(runtime.sign_in, name))
    assert caller is not None
    return caller
