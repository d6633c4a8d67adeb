"""What somebody with bad intentions tries without a page: replayed cookies, guessed names, tricks on addresses."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from flowground.access import account, people
from flowground.access.passwords import MIN_CHARS, clean_password
from flowground.app.runtime import Runtime
from flowground.core.errors import InvalidRequest, NotSignedIn
from flowground.store import publications, tables
from flowground.store.people import tokens
from flowground.store.publications import Sharing
from tests.people import PASSWORD, make_cookie
from tests.running import running, sign_in
from tests.test_access_matrix import open_client

NEW = "another long phrase"


async def sign_out(acme: Runtime) -> None:
    for item in (await account.find_sign_ins(acme.access, await sign_in(acme, "bob"), limit=9))[0]:
        await acme.sign_in.revoke(item.id)


async def change_password(acme: Runtime) -> None:
    await account.change_password(acme.access, await sign_in(acme, "bob"), PASSWORD, NEW, address="here")


async def reset_password(acme: Runtime) -> None:
    _, secret = await people.reset_password(acme.access, await sign_in(acme, "augusta"), "bob")
    await acme.sign_in.links.redeem(secret, NEW, "here")


async def deactivate_for_a_moment(acme: Runtime) -> None:
    augusta = await sign_in(acme, "augusta")
    await people.set_active(acme.access, augusta, "bob", is_active=False)
    assert await acme.sign_in.check_password("bob", PASSWORD, "here") is None
    await people.set_active(acme.access, augusta, "bob", is_active=True)


async def sign_out_everywhere(acme: Runtime) -> None:
    await people.sign_out_everywhere(acme.access, await sign_in(acme, "augusta"), "bob")


async def remove_and_invite_another_mia(acme: Runtime) -> None:
    augusta = await sign_in(acme, "augusta")
    await people.remove(acme.access, augusta, "bob")
    await people.invite(acme.access, augusta, "bob")


@pytest.mark.parametrize(
    "ending",
    [
        sign_out, change_password, reset_password, deactivate_for_a_moment, sign_out_everywhere,
        remove_and_invite_another_mia,
    ],
)  # fmt: skip
async def test_a_copied_cookie_and_a_waiting_ticket_are_dead_for_good(
    acme: Runtime, ending: Callable[[Runtime], Awaitable[None]]
) -> None:
    cookie, page = await make_cookie(acme.sign_in, "bob"), await sign_in(acme, "bob")
    ticket = await acme.sign_in.issue_ticket("bob", "browser") if ending is not sign_out else "none"
    await ending(acme)
    assert await acme.sign_in.verify_cookie(cookie) is None
    assert await acme.sign_in.redeem(ticket, "browser") is None
    with pytest.raises(NotSignedIn):
        await acme.access.recheck(page)


async def test_a_cookie_from_before_a_role_change_brings_the_present_role(acme: Runtime) -> None:
    cookie, page = await make_cookie(acme.sign_in, "olga"), await sign_in(acme, "olga")
    token = await acme.store.write(tokens.create, name="t", owner="olga", flows=None, expires_at=None, by="tests")
    await people.set_role(acme.access, await sign_in(acme, "augusta"), "olga", "member")
    for caller in (
        await acme.sign_in.verify_cookie(cookie),
        await acme.access.recheck(page),
        await acme.sign_in.verify_token(token[1]),
    ):
        assert caller is not None
        assert (caller.role, caller.sees_inside) == ("member", False)
        assert await acme.access.list_flows(caller) == []
        assert not acme.access.may_publish(caller, acme.catalogue.list_flows()["talk"])


async def test_nobody_locks_a_colleague_out(acme: Runtime) -> None:
    assert await acme.sign_in.check_password("bob", PASSWORD, "bob's desk") is not None
    for number in range(11):
        for _ in range(5):
            await acme.sign_in.attempts.count("bob", f"attacker {number}")
    with pytest.raises(NotSignedIn, match="Try again"):
        await acme.sign_in.check_password("bob", PASSWORD, "a new place")
    assert await acme.sign_in.check_password("bob", PASSWORD, "bob's desk") is not None
    augusta = await sign_in(acme, "augusta")
    _, secret = await people.reset_password(acme.access, augusta, "bob")
    await acme.sign_in.links.redeem(secret, NEW, "a new place")  # the way in from a new place meanwhile

    def five_minutes_pass(connection: Connection) -> None:
        connection.execute(tables.attempts.update().values(at=tables.attempts.c.at - 301))

    await acme.store.write(five_minutes_pass)
    assert await acme.sign_in.check_password("bob", NEW, "a new place") is not None


def test_passwords_that_are_refused() -> None:
    for password, said in {
        "password": "too common",
        "PassWord123": "too common",
        " 12345678 ": "too common",
        "aaaaaaaa": "too common",
        "short": "at least 8 characters",
        "é" * 37: "at most 72 bytes; this one has 74",
        "eight\x00chars": "control characters",
    }.items():
        with pytest.raises(InvalidRequest, match=said):
            clean_password(password)


def test_length_counts_and_composition_does_not() -> None:
    assert clean_password("  the sea at night  ") == "the sea at night"
    assert clean_password("schnürsenkel") == "schnürsenkel"
    common = (Path(__file__).parents[1] / "flowground/access/common_passwords.txt").read_text("utf-8").split("\n")
    assert common[-1] == ""
    assert len(common) > 1000
    assert [word for word in common[:-1] if len(word) < MIN_CHARS or word != word.lower()] == []


async def share_with_api(runtime: Runtime, owner: str | None) -> str:
    """The flow, and a token of its API."""
    await runtime.store.write(publications.change, flow_id="talk", sharing=Sharing(True, shares_api=True), by="tests")
    made = await runtime.store.write(tokens.create, name="t", owner=owner, flows=None, expires_at=None, by="tests")
    return made[1]


TRICKS = [
    "%2e%2e%2fother", "..%2fother", "talk%2f..%2fother", "talk/../other", "./other", "other%00", "other%0a", "%20other",
    "other%20", "other.yaml", "flows%2fother", "Other", "OTHER", "öther", "other%c0%af", "talk%3fx=other", "*",
    "%25other",
    "x" * 5_000, "'%20or%20'1'='1", "talk;other", "%ff",
]  # fmt: skip


async def test_no_spelling_of_an_address_opens_a_forbidden_flow(acme: Runtime) -> None:
    async with open_client(acme, **{"x-api-key": await share_with_api(acme, "bob")}) as client:
        assert (await client.post("/api/v1/run/talk", json={"input_value": "hi"})).status_code == 200
        for trick in TRICKS:
            for path in (f"/api/v1/run/{trick}", f"/lf/x/api/v1/run/{trick}"):
                answer = await client.post(path, json={"input_value": "hi"})
                assert (answer.status_code, str(acme.settings.root) in answer.text) == (404, False), trick
            assert (await client.get(f"/api/v1/flows/{trick}")).status_code in (404, 307), trick


CLAIMS = [
    ("x-flowground-caller", '{"kind": "member", "name": "augusta", "role": "admin"}'), ("x-forwarded-user", "augusta"),
    ("x-remote-user", "augusta"), ("remote-user", "augusta"), ("authorization", "Basic cm9vdDpyb290"),
    ("authorization", "Bearer "), ("x-api-key", "augusta"), ("x-api-key", ""), ("x-api-key", "fg_" + "a" * 43),
]  # fmt: skip


async def test_the_api_believes_no_header_but_a_token(acme: Runtime) -> None:
    cookie = await make_cookie(acme.sign_in, "augusta")
    for name, value in CLAIMS:
        async with open_client(acme, **{name: value, "cookie": f"flowground={cookie}"}) as client:
            for method, path in (
                ("POST", "/api/v1/run/talk"), ("GET", "/api/v1/flows/"), ("GET", "/api/v1/monitor/messages"),
                ("DELETE", "/api/v1/monitor/messages/session/s"),
            ):  # fmt: skip
                answer = await client.request(method, path)
                assert (answer.status_code, "Talk" in answer.text) == (403, False), (name, value)


INSIDE = """
owners: [olga]
components:
  ChatInput: {type: ChatInput}
  Hidden: {type: Prompt, display_name: Answer, template: "the secret prompt {said}", said: "${ChatInput}"}
  Model: {type: LanguageModel, model: "scripted:echo", system_message: "${Hidden}", input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, display_name: Answer, input_value: "${Model}"}
"""


ASKED = [{"output_type": "debug"}, {"output_type": "any"}, *({"output_component": it} for it in ("Hidden", "Answer"))]


async def test_a_members_token_reads_the_outputs_of_a_flow_and_nothing_before_them(tmp_path: Path) -> None:
    async with running(tmp_path, {"talk": INSIDE}) as acme:
        await acme.sign_in.roster.add("bob", by="tests")
        bobs, whole = [open_client(acme, **{"x-api-key": await share_with_api(acme, it)}) for it in ("bob", None)]
        for query in ("", "?shape=simple", "?stream=true", "?stream=sse", "?stream=sse&shape=simple"):
            for asked in ASKED:
                body = {"input_value": "hi"} | asked
                told = [await client.post(f"/api/v1/run/talk{query}", json=body) for client in (bobs, whole)]
                is_ours = "Hidden" in asked.values() and ("simple" in query or "sse" in query)
                assert [answer.status_code for answer in told] == [422 if is_ours else 200, 200]
                assert "secret prompt" not in told[0].text, (query, asked)
                assert "Hidden" not in told[0].text, (query, asked)
                assert ("secret prompt" in told[1].text) == (asked != {"output_type": "any"}), (query, asked)
