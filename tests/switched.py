"""Flows that run and can be switched off."""

from flowground.app.runtime import Runtime
from flowground.store import publications
from flowground.store.publications import SwitchKind
from flowground.store.runs.records import StoredMessage
from tests.api.calls import Api
from tests.run_rows import eventually
from tests.running import chat_flow
from tests.stored import list_messages, list_running, list_runs

SAYS = "Back at three."

CHOICE = 'api: {overridable: [{field: Model.model, choices: ["scripted:long", "other:echo"]}]}\n'

FLOWS = {
    "long": chat_flow("scripted:long"),
    "echo": chat_flow("scripted"),
    "default": chat_flow("scripted").replace("    model: scripted\n", ""),
    "other": chat_flow("other:echo"),
    "choice": chat_flow("scripted:long") + CHOICE,
    "queued": chat_flow("server:x"),
}

CONFIG = {"providers": {"other": {"type": "scripted", "pieces": ["Hi"]}}}


async def switch_off(runtime: Runtime, kind: SwitchKind, name: str, says: str = SAYS) -> None:
    """Switches a flow or provider off, as `python -m flowground flows off` does; the runtime reads it at once."""
    await runtime.store.write(publications.switch_off, kind=kind, name=name, says=says, by="member:ada")
    await runtime.switches._look_again()


async def switch_on(runtime: Runtime, kind: SwitchKind, name: str, *, by: str = "member:ada") -> bool:
    """As `switch_off`. False when it was on already."""
    was_off = await runtime.store.write(publications.switch_on, kind=kind, name=name, by=by)
    await runtime.switches._look_again()
    return was_off


async def read_messages(api: Api, flow: str) -> list[StoredMessage]:
    [run] = await api.runtime.store.read(list_runs, flow_id=flow)
    return await api.runtime.store.read(list_messages, flow_id=flow, owner=run.owner, session_id=run.session_id)


async def find_speaking(api: Api, says: str) -> str:
    """The id of the one run that runs, once it has said this."""
    found: list[str] = []

    async def speaks() -> bool:
        found[:] = [
            run.id
            for run in await api.runtime.store.read(list_running)
            if any(text.startswith(says) for text in (api.runtime.running.read_texts(run.id) or {}).values())
        ]
        return bool(found)

    await eventually(speaks)
    [run_id] = found
    return run_id
