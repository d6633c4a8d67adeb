"""A flow file that a page writes: for whom, where, over nothing that is there."""

from pathlib import Path

import pytest

from flowground.access import new_flows
from flowground.caller import LOCAL_OWNER
from flowground.errors import InvalidRequest, NotAllowed, NotSignedIn
from flowground.flow.templates import TEMPLATES, DraftedFlow, choose_address, make_draft, write_flow_file
from flowground.runtime import Runtime
from tests.organization import sign_in
from tests.running import chat_flow, running

pytestmark = pytest.mark.anyio


def draft(name: str, address: str = "") -> DraftedFlow:
    return make_draft(name, "chat", address=address, max_bytes=100_000)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("Order status", "order-status"),
        ("Größe: ändern!", "grosse-andern"),
        ("..", ""),
        ("注文", ""),
        ("a" * 70, "a" * 64),
    ],
)
def test_an_address_is_made_from_the_name(name: str, address: str) -> None:
    assert choose_address(name) == address


@pytest.mark.parametrize("template", TEMPLATES)
async def test_what_the_local_owner_writes_can_be_opened_at_once(tmp_path: Path, template: str) -> None:
    async with running(tmp_path, {"talk": chat_flow("scripted", "Talk")}) as runtime:
        wanted = make_draft("注文", template, address="orders", max_bytes=100_000)
        await new_flows.write_flow(runtime.access, LOCAL_OWNER, wanted)
        assert (await runtime.access.open_flow(LOCAL_OWNER, "orders")).name == "注文"
        with pytest.raises(InvalidRequest, match="There is already a flow at orders"):
            await new_flows.write_flow(runtime.access, LOCAL_OWNER, wanted)


def test_no_file_is_written_over_and_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "orders.yaml").write_text("kept", "utf-8")
    with pytest.raises(InvalidRequest, match=r"There is already a file flows/orders.yaml"):
        write_flow_file(tmp_path, draft("Orders"), shown="flows/orders.yaml")
    assert (tmp_path / "orders.yaml").read_text("utf-8") == "kept"
    with pytest.raises(InvalidRequest, match=r"flows/orders.yaml cannot be written: \w+"):
        write_flow_file(Path("/proc/flows"), draft("Orders"), shown="flows/orders.yaml")


async def test_with_accounts_nobody_writes_files_from_a_page(acme: Runtime) -> None:
    for name in ("augusta", "olga", "bob"):
        with pytest.raises(NotAllowed):
            await new_flows.write_flow(acme.access, await sign_in(acme, name), draft("Orders"))
    with pytest.raises(NotSignedIn):
        await new_flows.write_flow(acme.access, LOCAL_OWNER, draft("Orders"))
    assert not (acme.access.catalogue.folder / "orders.yaml").exists()
