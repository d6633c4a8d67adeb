"""Who was removed is nowhere any more; what they did still counts, under a word that leads back to nobody."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert, select

from flowground.app.retention import REMOVED, RetentionTask
from flowground.settings import RetentionSettings
from flowground.settings.limits import PublicSettings
from flowground.store import Store, audit, publications, tables
from flowground.store.people import access_requests, config_entries, groups, members, removals, sign_ins, tokens
from flowground.store.people.config_entries import ConfigEntry
from flowground.store.publications import Sharing
from flowground.store.runs import erasing
from tests.canary import TALK, WORD, await_none, find_everywhere, finish_removals, take
from tests.stored import list_entries, list_sessions
from tests.waiting import eventually

_r = tables.runs.c


async def make_member(store: Store, name: str) -> str:
    """Somebody whose name is in every place that may hold one; their id."""
    write = store.write
    shown = {"name": name, "display_name": f"{name} Lovelace", "email": f"{name}@example.com"}
    member = (await write(members.add, **shown, role="author", password="hash", by="cli")).id
    by = f"member:{member}"
    token, _ = await write(tokens.create, name=f"{name}'s laptop", owner=member, flows=None, expires_at=None, by=by)
    await write(tokens.revoke, token_id=token.id, by=by)
    await write(access_requests.ask, flow_id="other", member=member, note=f"{name} wants in")
    await write(access_requests.ask, flow_id="third", member="somebody", note="me too")
    for request in (await store.read(access_requests.find_page, flows=["third"], limit=9))[0]:
        await write(access_requests.decide, request_id=request.id, is_approved=False, by=by)
    group = await write(groups.add, name=f"of {member[:1]}", by=by)
    await write(groups.change_members, group_id=group.id, added={member}, by=by)
    sharing = Sharing(is_shared=True, audience="people", members=frozenset({member}))
    await write(publications.change, flow_id=f"flow {name[:1]}", sharing=sharing, by=by)
    await write(publications.switch_off, kind="provider", name=f"provider {name[:1]}", says="", by=by)
    for tried, address in ((name, f"from {name}"), (f"{sign_ins.REQUESTS} {member}", "access")):
        await write(sign_ins.begin_attempt, name=tried, address=address)
    await write(sign_ins.record_success, name=name, address="203.0.113.7")
    for whom in (member, "somebody"):
        link: dict[str, Any] = {"kind": "reset", "member": whom, "hashed": uuid4().hex, "expires_at": 9e9, "by": by}
        await write(sign_ins.add_link, **link)
    for ticket in (f"t {name}", f"u {name}"):
        await write(sign_ins.add_ticket, ticket=ticket, member=member, browser="b", expires_at=9e9)
    used: dict[str, Any] = {"ticket": f"t {name}", "browser": "b", "agent": f"Browser of {name}", "expires_at": 9e9}
    await write(sign_ins.redeem, **used, sign_in_id=uuid4().hex)
    for number in range(12):
        for owner in (by, f"token:try:{member}"):
            await take(store, owner, f"{name} {number % 5}", f"{name} " * 400, interrupts=number % 3 == 0)
    return member


def add_runs(connection: Connection, *, owner: str, count: int) -> None:
    row: dict[str, Any] = {"flow_id": "talk", "flow_version": "v", "owner": owner, "session_id": owner}
    row |= {"status": "complete", "started_at": 1.0, "seconds": 0.1, "streamed": False}
    connection.execute(insert(tables.runs), [{"id": str(uuid4()), **row} for _ in range(count)])


def list_owners_of_runs(connection: Connection) -> list[str]:
    return sorted(connection.scalars(select(_r.owner)))


async def test_nothing_names_somebody_who_was_removed(store: Store, url: str, tmp_path: Path) -> None:
    member, other = await make_member(store, WORD), await make_member(store, "bob")
    await store.write(members.rename, member=member, name=f"{WORD}-two", by="cli")
    await store.write(members.rename, member=member, name=f"{WORD}-three", by=f"member:{member}")
    for owner in (f"member:{member}", f"member:{other}"):
        await store.write(add_runs, owner=owner, count=700)
    for number in range(600):
        line = {"actor": f"member:{other if number % 2 else member}", "subject": f"talk member:{member}"}
        await store.write(audit.record, action="flow.opened_to", **line)
    await store.write(audit.record, actor="cli", action="flow.shared", subject=other)  # a flow that is called so
    places = find_everywhere(url, tmp_path)
    lines = len(await store.read(list_entries, limit=10_000))
    owners = await store.read(list_owners_of_runs)
    assert places if url.startswith("sqlite") else len(places) > 15, places
    assert await store.write(members.remove, member=member, by=f"member:{other}")
    (left,) = await store.read(removals.list_removals)
    assert left.pseudonym.startswith("removed:")
    await finish_removals(store)
    await_none(url, tmp_path)
    theirs = [owner for owner in owners if WORD in owner]
    assert len(theirs) > 700
    after = await store.read(list_owners_of_runs)
    assert after.count(left.pseudonym) == 724
    assert after.count("member:bob") == owners.count("member:bob") == 712
    entries = await store.read(list_entries, limit=10_000)
    assert len(entries) == lines + 1 + 1  # signed out everywhere, removed
    removed = entries[0]
    assert (removed.action, removed.actor, removed.subject) == ("member.removed", "member:bob", removals.SOMEBODY)
    assert [entry.actor for entry in entries if entry.subject == f"talk {removals.SOMEBODY}"].count("member:bob") == 300
    assert [entry.subject for entry in entries if entry.action == "flow.shared"].count("bob") == 1
    by = select(tables.publications.c.changed_by).where(tables.publications.c.flow_id == "flow q")
    assert await store.read(lambda to: to.scalar(by)) == removals.SOMEBODY
    assert len(await store.read(list_sessions, **TALK, owner=f"member:{other}")) == 5
    newcomer = await store.write(members.add, name=WORD, display_name="x", role="member", by="cli")
    assert newcomer.id != member


async def test_nothing_is_left_of_a_config_member_who_was_replaced(store: Store, url: str, tmp_path: Path) -> None:
    ada = ConfigEntry("ada", "Ada", "member", f"{WORD}@example.com", "one password")
    await store.write(config_entries.import_entries, entries=[ada])
    for number in range(30):
        await take(store, "member:ada", f"s{number % 3}", f"{WORD} " * 300, interrupts=number % 2 == 0)
    assert find_everywhere(url, tmp_path)
    other = replace(ada, email="ada.k@example.com", fingerprint="another password")
    changes, _ = await store.write(config_entries.import_entries, entries=[other])
    assert changes == {"ada": "replaced"}
    await finish_removals(store)
    await_none(url, tmp_path)
    assert len(await store.read(list_owners_of_runs)) == 30


async def test_a_removal_that_was_cut_short_is_finished_by_whoever_comes_next(url: str, tmp_path: Path) -> None:
    first = Store.open(url)
    member = await make_member(first, WORD)
    await first.write(members.remove, member=member, by="cli")
    (left,) = await first.read(removals.list_removals)
    await first.write(erasing.erase_conversations, owners=left.owners)
    assert await first.write(removals.rename_runs, removal=left, after="") is None
    first.close()
    second = Store.open(url)
    assert find_everywhere(url, tmp_path)
    await finish_removals(second)
    await_none(url, tmp_path)
    second.close()


async def test_what_lands_late_goes_too_and_a_newcomer_keeps_everything(store: Store, url: str, tmp_path: Path) -> None:
    member = await make_member(store, WORD)
    await store.write(members.remove, member=member, by="cli")
    (left,) = await store.read(removals.list_removals)
    looks = RetentionTask(store, RetentionSettings(), PublicSettings(), rest=0)
    await looks.forget(only=[REMOVED])
    await_none(url, tmp_path)
    newcomer = await store.write(members.add, name=WORD, display_name="x", role="member", by="cli")
    await take(store, f"member:{newcomer.id}", "mine", "something")
    before = await store.read(list_owners_of_runs)
    for owner in (f"member:{member}", f"token:try:{member}"):
        await take(store, owner, "late", f"late-{WORD}", interrupts=True)
    await store.write(audit.record, actor=f"member:{member}", action="access.requested", subject="talk")
    assert find_everywhere(url, tmp_path, f"late-{WORD}")
    await looks.forget(only=[REMOVED])  # as it does by itself some seconds later
    eventually(lambda: not find_everywhere(url, tmp_path, f"late-{WORD}"))
    assert sorted([*before, *[left.pseudonym] * 2]) == await store.read(list_owners_of_runs)
    assert (await store.read(list_entries, limit=1))[0].actor == removals.SOMEBODY
    assert len(await store.read(list_sessions, **TALK, owner=f"member:{newcomer.id}")) == 1
    assert await store.read(members.find_named, name=WORD) == newcomer
