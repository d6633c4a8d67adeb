"""Presets of overrides, on both databases: one person's, for one flow."""

from typing import Any

import pytest

from flowground.errors import InvalidRequest
from flowground.store import Store
from flowground.store.flows import presets
from flowground.store.flows.presets import Preset
from flowground.store.people import members

pytestmark = pytest.mark.anyio

ADA: dict[str, Any] = {"flow_id": "f", "owner": "member:ada"}
VALUES: dict[str, dict[str, Any]] = {
    "Model": {"temperature": 0.4, "seed": None, "stream": False},
    "P": {"t": "👋 \x00 ''"},
}


async def save(store: Store, name: str, values: dict[str, dict[str, Any]] = VALUES, **place: Any) -> Preset:
    return await store.write(presets.save, **(ADA | place), name=name, values=values)


async def names(store: Store, **place: Any) -> list[str]:
    return [preset.name for preset in await store.read(presets.list_presets, **(ADA | place))]


async def test_a_preset_is_kept_as_it_was(store: Store) -> None:
    kept = await save(store, "  Warm  and long ")
    assert (kept.name, kept.values) == ("Warm and long", VALUES)
    assert await store.read(presets.list_presets, **ADA) == [kept]


async def test_the_same_name_is_replaced_and_names_are_in_order(store: Store) -> None:
    for name in ("b", "C", "a"):
        await save(store, name)
    await save(store, "b", {"Model": {"temperature": 1}})
    assert await names(store) == ["a", "b", "C"]
    found = await store.read(presets.list_presets, **ADA)
    assert found[1].values == {"Model": {"temperature": 1}}


async def test_presets_are_one_persons_for_one_flow(store: Store) -> None:
    await save(store, "mine")
    await save(store, "bens", owner="member:ben")
    await save(store, "other", flow_id="g")
    assert await names(store) == ["mine"]
    assert not await store.write(presets.remove, **ADA, name="bens")
    assert await store.write(presets.remove, **ADA, name="mine")
    assert not await store.write(presets.remove, **ADA, name="mine")
    assert (await names(store), await names(store, owner="member:ben")) == ([], ["bens"])


@pytest.mark.parametrize("name", ["", "  ", "a" * 61, "a\u202eb", "a\x00b"])
async def test_a_name_is_one_visible_line(store: Store, name: str) -> None:
    with pytest.raises(InvalidRequest, match="one line of 1 to 60 characters"):
        await save(store, name)


async def test_there_is_an_end_to_presets(store: Store) -> None:
    with pytest.raises(InvalidRequest, match="too large"):
        await save(store, "large", {"P": {"t": "a" * 200_001}})
    for number in range(50):
        await save(store, f"{number}")
    with pytest.raises(InvalidRequest, match="50 presets for this flow already"):
        await save(store, "one more")
    await save(store, "7")
    assert len(await names(store)) == 50


async def test_a_removed_members_presets_are_not_the_next_bearers(store: Store) -> None:
    await store.write(members.add, name="ada", display_name="Ada", role="author", by="tests")
    await save(store, "mine")
    assert await store.write(members.remove, member="ada", by="tests")
    assert await names(store) == []
