"""Files at pages, over HTTP: added with a sign-in's cookie from a page of ours, shown to nobody but their owner."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import requests

from flowground.access.sign_in import SignIn
from flowground.store import Store
from flowground.store.runs import erasing, shared_chats, transcripts
from tests.chats import OpenChat
from tests.page_socket import Browser, open_browser, open_page
from tests.servers import PUBLIC, AppServer, House
from tests.test_access_websocket import beside
from tests.test_conversation import opened as opened
from tests.waiting import eventually

TAKES = """
chat: {accepts: [image/*, text/plain]}
components:
  In: {type: ChatInput}
  Out: {type: ChatOutput, input_value: "${In} with ${In.files}"}
"""
HOUSE = House(
    flows={
        "takes": TAKES,
        "small": TAKES.replace("plain]", "plain], file_bytes: 2000"),
        "none": TAKES.replace("chat: {accepts: [image/*, text/plain]}\n", ""),
    },
    config={"sharing": {"allow_public": True, "public": {"file_bytes": 2_000}}, "limits": {"file_bytes": 9_000}},
    shared={"takes": PUBLIC},
)
PNG = b"\x89PNG\r\n\x1a\n picture"


def upload(
    browser: Browser, house: AppServer, data: bytes = PNG, *, flow: str = "takes", name: str = "a.png", **more: str
) -> requests.Response:
    headers = {"Origin": more.pop("origin", house.url)}
    asked = {"flow": flow, "name": name, **more}
    return browser.session.post(f"{house.url}/file/upload", params=asked, data=data, headers=headers, timeout=10)


def get(browser: Browser, house: AppServer, what: str, key: str, **more: str) -> requests.Response:
    return browser.session.get(f"{house.url}/file/{what}", params={"id": key, **more}, timeout=10)


def delete(browser: Browser, house: AppServer, key: str, origin: str = "") -> requests.Response:
    headers = {"Origin": origin or house.url}
    return browser.session.post(f"{house.url}/file/delete", params={"id": key}, headers=headers, timeout=10)


@contextmanager
def visitor(house: AppServer) -> Iterator[Browser]:
    browser = Browser(house.url)
    with open_page(browser, base="/public_flow/takes") as page:
        page.visit()
        yield browser


def test_a_file_is_added_sent_shown_and_deleted(house: AppServer, opened: OpenChat) -> None:
    bob = open_browser(house, "bob")
    answer = upload(bob, house, name="../holiday.png")
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert {**told, "id": ""} == {"id": "", "name": "holiday.png", "type": "image/png", "size": len(PNG)}
    chat = opened("takes", "bob")
    chat.say("", files=[told["id"]])
    assert chat.read_until("started")["question"]["files"] == [told]
    assert chat.read_until("ended")
    shown, saved = get(bob, house, "image", told["id"]), get(bob, house, "download", told["id"])
    assert shown.content == saved.content == PNG
    assert shown.headers["content-type"] == "image/png"
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"].startswith('attachment; filename="holiday.png"')
    for answer in (shown, saved):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
    assert delete(bob, house, told["id"]).json() == {"deleted": True}
    assert get(bob, house, "image", told["id"]).status_code == 404
    # What can run is never shown.
    key = upload(bob, house, b"<script>alert(1)</script>", name="a.html.txt").json()["id"]
    assert get(bob, house, "image", key).status_code == 404
    assert get(bob, house, "download", key).headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("data", "flow", "status", "says"),
    [
        (b"x" * 9_001, "takes", 413, "over 9 kB"),
        (b"x" * 2_001, "small", 413, "over 2 kB"),
        (b"", "takes", 422, "is empty"),
        (b"%PDF-1.7", "takes", 422, "takes images or plain text"),
        (PNG, "none", 422, "takes no files"),
        (PNG, "unknown", 404, "Not Found"),
    ],
)
def test_what_is_not_taken_is_a_sentence(house: AppServer, data: bytes, flow: str, status: int, says: str) -> None:
    refused = upload(open_browser(house, "augusta"), house, data, flow=flow)
    assert (refused.status_code, says in refused.text) == (status, True)


def test_nobody_else_has_it(house: AppServer, opened: OpenChat) -> None:
    """Every way to a file, for everybody who is not its owner: an admin, a visitor, nobody, a page of another site."""
    bob, admin, nobody = open_browser(house, "bob"), open_browser(house, "augusta"), Browser(house.url)
    key = upload(bob, house).json()["id"]
    for what in ("download", "image"):
        assert get(admin, house, what, key).status_code == get(admin, house, what, "nothing").status_code == 404
        assert get(nobody, house, what, key).status_code == 403
        address = f"{house.url}/file/{what}?id={key}"
        foreign = bob.session.get(address, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10)
        assert foreign.status_code == 403
    assert delete(admin, house, key).status_code == 404
    assert delete(nobody, house, key).status_code == 403
    assert delete(bob, house, key, origin="https://evil.example").status_code == 403
    assert upload(bob, house, origin="https://evil.example").status_code == 403
    assert upload(nobody, house).status_code == 403
    chat = opened("takes", "augusta")
    chat.say("mine?", files=[key])
    assert "There is no file" in chat.read_until("refused")["text"]
    with visitor(house) as somebody:
        assert get(somebody, house, "download", key, flow="takes", at="public").status_code == 404
    assert get(bob, house, "download", key).status_code == 200


def test_visitors_add_small_files_where_the_flow_takes_some(house: AppServer) -> None:
    public: dict[str, Any] = {"at": "public"}
    with visitor(house) as one, visitor(house) as other:
        key = upload(one, house, **public).json()["id"]
        assert upload(one, house, b"x" * 2_001, **public).status_code == 413
        assert upload(one, house, flow="none", **public).status_code == 403
        assert get(one, house, "image", key, flow="takes", **public).content == PNG
        assert get(one, house, "image", key).status_code == 403
        assert get(other, house, "image", key, flow="takes", **public).status_code == 404


def begin_upload(browser: Browser, house: AppServer) -> socket.socket:
    """One that says a part of its file, and waits."""
    connection = socket.create_connection(("127.0.0.1", house.port), timeout=10)
    connection.sendall(
        f"POST /file/upload?flow=takes&name=a.txt&at=public HTTP/1.1\r\nHost: {house.url.removeprefix('http://')}\r\n"
        f"Origin: {house.url}\r\nCookie: {browser.cookies}\r\nContent-Length: 1000\r\n\r\nx".encode()
    )
    return connection


def test_visitors_who_send_slowly_leave_places_to_members(house: AppServer) -> None:
    bob = open_browser(house, "bob")
    with ExitStack() as held:
        for _ in range(5):
            with visitor(house) as browser:
                for _ in range(5):
                    held.enter_context(begin_upload(browser, house))
        with visitor(house) as another:
            assert eventually(lambda: upload(another, house, at="public").status_code == 503)
        for _ in range(3):
            assert upload(bob, house).status_code == 201
    with visitor(house) as another:
        assert eventually(lambda: upload(another, house, at="public").status_code == 201)


def test_a_chat_of_files_has_their_names_in_its_title_export_and_copies(house: AppServer, opened: OpenChat) -> None:
    """The bytes stay with who sent them, and go with the conversation."""
    bob, admin = open_browser(house, "bob"), open_browser(house, "augusta")
    key = upload(bob, house, name="plan.png").json()["id"]
    chat = opened("takes", "bob")
    chat.say("", files=[key])
    chat.read_until("ended")

    async def share(store: Store, _: SignIn) -> tuple[str, str, list[str]]:
        place = {"flow_id": "takes", "owner": "member:bob", "session_id": chat.session}
        head = await store.read(transcripts.find_head, **place)
        link = await store.write(shared_chats.share, **place, expires_at=None)
        shown, _count = await store.read(shared_chats.read_page, key=link.id)
        return head.title if head else "", link.title, [one.text for one in shown]

    title, shared_title, said = beside(house, share)
    assert (title, shared_title, said[0]) == ("plan.png", "plan.png", "Files: plan.png")
    address = f"{house.url}/export/chat?flow=takes&session={chat.session}&as="
    assert "## You\n\n*Files: plan.png*\n" in bob.session.get(f"{address}markdown", timeout=10).text
    (question, _) = bob.session.get(f"{address}json", timeout=10).json()["messages"]
    assert question["files"] == [{"name": "plan.png", "type": "image/png", "size": len(PNG)}]
    assert key not in str(question)
    assert get(admin, house, "image", key).status_code == 404

    async def forget(store: Store, _: SignIn) -> None:
        await store.erase(erasing.erase_conversations, owners=["member:bob"])

    beside(house, forget)
    assert get(bob, house, "image", key).status_code == 404
