"""The largest requests there may be keep nobody waiting: refused or answered, none holds the loop for 50 ms."""

import asyncio
import itertools
import json
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic_core import to_json
from sqlalchemy import Connection, insert, select
from starlette.types import Message

from flowground.api import create_api
from flowground.api.body import MOST_VALUES
from flowground.api.wire import LONG, write_long
from flowground.store import tables
from tests.api.calls import Api
from tests.api.serving import serving
from tests.heartbeat import stays_responsive

pytestmark = pytest.mark.anyio

MOST = 3_145_728


def words() -> Iterator[str]:
    """Four letters each, none twice."""
    return ("".join(letters) for letters in itertools.product(string.ascii_letters + string.digits, repeat=4))


def first_words(count: int) -> Iterator[str]:
    return itertools.islice(words(), count)


def filled(head: bytes, piece: bytes, tail: bytes, *, most: int = MOST, between: bytes = b",") -> bytes:
    """`head`, as many of `piece` as fit, `tail`."""
    count = (most - len(head) - len(tail)) // (len(piece) + len(between))
    return head + between.join([piece] * count) + tail


def named(head: bytes, tail: bytes, value: bytes, *, most: int = MOST, count: int = 10**9) -> bytes:
    """An object with as many different names as fit."""
    count = min(count, (most - len(head) - len(tail)) // (8 + len(value)))
    names = first_words(count)
    return head + b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name in names) + b"}" + tail


def text(size: int, piece: str = "a") -> str:
    return (piece * (size // len(piece) + 1))[:size]


def body(value: Any) -> bytes:
    content = json.dumps(value, ensure_ascii=False).encode()
    assert len(content) <= MOST, len(content)
    return content


TWEAKED: dict[str, tuple[int, Callable[[], bytes]]] = {
    "the largest message": (200, lambda: body({"input_value": text(200_000, 'é"\\\n🐎')})),
    "a message over its limit": (422, lambda: body({"input_value": text(3_000_000)})),
    "a text of quotes and backslashes": (422, lambda: body({"input_value": text(1_000_000, '"\\')})),
    "a text of commas and brackets": (422, lambda: body({"input_value": text(3_000_000, "[,{")})),
    "a text of escapes": (422, lambda: filled(b'{"input_value":"', b"\\u00e9", b'"}', between=b"")),
    "a million lists": (422, lambda: filled(b'{"x":[', b"[]", b"]}")),
    "lists in lists": (422, lambda: filled(b'{"x":[', b"[[]]", b"]}")),
    "a million numbers": (422, lambda: filled(b'{"x":[', b"1", b"]}")),
    "as many lists as may be": (200, lambda: filled(b'{"x":[', b"[]", b"]}", most=MOST_VALUES // 2 * 3 - 100)),
    "long numbers": (200, lambda: filled(b'{"x":[', b"1.2345678901234567890123456789e-5", b"]}")),
    "a million brackets": (422, lambda: b'{"x":' + b"[" * 1_000_000),
    "a million objects": (422, lambda: b'{"a":' * 600_000),
    "unknown names beside the tweaks": (422, lambda: named(b"", b"", b"0")),
    "unknown names in the body": (200, lambda: named(b"", b"", b"0", count=MOST_VALUES - 10)),
    "tweaks of unknown fields everywhere": (422, lambda: named(b'{"tweaks":', b"}", b"0", count=MOST_VALUES - 10)),
    "tweaks of unknown components": (422, lambda: named(b'{"tweaks":', b"}", b"{}", count=MOST_VALUES // 2 - 10)),
    "tweaks of unknown fields": (422, lambda: named(b'{"tweaks":{"Second":', b"}}", b"0", count=MOST_VALUES - 10)),
    "tweaks that nothing can hold": (422, lambda: named(b'{"tweaks":{"Second":{"seed":', b"}}}", b"[]", count=49_000)),
    "a list for every field": (422, lambda: filled(b'{"tweaks":{"temperature":[', b"1", b"]}}", most=190_000)),
    "a text in a number": (422, lambda: body({"tweaks": {"Second": {"temperature": text(3_000_000)}}})),
    "a text with a million quotes in a number": (
        422, lambda: body({"tweaks": {"Second": {"temperature": text(1_000_000, '"')}}})
    ),
    "a text as long as an answer": (200, lambda: body({"tweaks": {"Topic": {"input_value": text(450_000, "日本")}}})),
    "the largest text": (502, lambda: body({"tweaks": {"Topic": {"input_value": text(1_000_000, "€")}}})),
    "a text over its limit": (422, lambda: body({"tweaks": {"Topic": {"input_value": text(1_000_001)}}})),
    "a long name of a field": (422, lambda: body({"tweaks": {"Second": {text(3_000_000): 1}}})),
    "a long name of a component": (422, lambda: body({"tweaks": {text(3_000_000): {"temperature": 1}}})),
    "a long session": (422, lambda: body({"session_id": text(3_000_000)})),
    "a long output": (200, lambda: body({"output_component": text(3_000_000)})),
    "a template over its limit": (422, lambda: body({"tweaks": {"Prompt": {"template": text(3_000_000, "{x}")}}})),
    "the largest template of variables": (
        422, lambda: body({"tweaks": {"Prompt": {"template": text(256_000, "{x}")}}})
    ),
    "the largest template of new variables": (
        422,
        lambda: body({"tweaks": {"Prompt": {"template": "".join(f"{{{word}}}" for word in first_words(42_000))}}}),
    ),
    "the largest template of known variables": (
        422, lambda: body({"tweaks": {"Prompt": {"template": text(256_000, "{topic}")}}})
    ),
    "as many known variables as may be": (
        200, lambda: body({"tweaks": {"Prompt": {"template": text(249_000) + "{topic}" * 1000}}})
    ),
    "the largest template of braces": (200, lambda: body({"tweaks": {"Prompt": {"template": text(256_000, "{{}}")}}})),
    "the largest template of open braces": (
        200, lambda: body({"tweaks": {"Prompt": {"template": text(256_000, "{")}}})
    ),
    "the largest template of JSON": (
        200, lambda: body({"tweaks": {"Prompt": {"template": text(256_000, '{"a": {"b": ')}}})
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TWEAKED)
async def test_the_largest_bodies_keep_nobody_waiting(api: Api, case: str) -> None:
    status, build = TWEAKED[case]
    content = build()
    answers: list[httpx2.Response] = []

    async def ask() -> None:
        answers.append(await api.client.post("/api/v1/run/tweaked", content=content))

    await stays_responsive(ask)
    assert {answer.status_code for answer in answers} == {status}, answers[0].text[:300]
    if status == 422:
        assert len(answers[0].content) < 20_000


@pytest.mark.parametrize(
    "value",
    [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"9" * 5_000, b"[" * 2_000 + b"]" * 2_000,
     b"[" * 1_000 + b"]" * 1_000, b'{"a":' * 200 + b"1" + b"}" * 200, b"01", b"1 2",
     b"'x'", b'"\\ud800"', b'"\x00"', b"[" * 1_000_000, b'{"a":' * 500_000],
    ids=lambda value: str(value[:9]),
)  # fmt: skip
async def test_what_is_no_json_is_refused_in_one_way(api: Api, value: bytes) -> None:
    response = await api.client.post("/api/v1/run/echo", content=b'{"input_value": "hi", "x": ' + value + b"}")
    assert response.status_code == 422, response.text
    assert response.json()["detail"][0]["type"] in ("json_invalid", "too_many_values")


@pytest.mark.parametrize("more", [{}, {"Idempotency-Key": "deep"}], ids=["plain", "repeatable"])
async def test_a_body_of_two_hundred_levels_is_judged_like_any_other(api: Api, more: dict[str, str]) -> None:
    """Its own, those of the tweaks and of their component, and what lies in the field."""
    content = b'{"tweaks": {"Prompt": {"template": ' + b"[" * 197 + b"]" * 197 + b"}}}"
    response = await api.client.post("/api/v1/run/tweaked", content=content, headers=more)
    assert response.status_code == 422, response.text
    assert "template" in response.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("size", [1, 40_000])
async def test_every_encoding_of_json_is_read_small_and_large(api: Api, encoding: str, size: int) -> None:
    said = "žluť 🐎" * size
    content = json.dumps({"input_value": "first", "x": 10**30, "y": 0.1, "input_value ": said}, ensure_ascii=False)
    content = content.replace('"input_value "', '"input_value"')  # given twice: the last one counts
    response = await api.client.post("/api/v1/run/echo?shape=simple", content=content.encode(encoding))
    if len(said) > 200_000:
        assert "is the limit" in response.text
    else:
        assert response.json()["text"] == said


BOUNDARY = "xyzzy"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, value: str, *, more: str = "") -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'.encode()


def form(*parts: bytes) -> bytes:
    content = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    assert len(content) <= MOST
    return content


FORMS: dict[str, tuple[int, Callable[[], bytes]]] = {
    "a long message": (422, lambda: form(part("input_value", text(1_000_000)))),
    "a file": (200, lambda: form(part("files", text(3_000_000, "ab\r\n--"), more='; filename="a.txt"'))),
    "a field of dashes": (422, lambda: form(part("input_value", text(1_000_000, "\r\n--x")))),
    "a thousand fields": (200, lambda: form(*(part(name, "x" * 2_000) for name in first_words(1_000)))),
    "too many fields": (422, lambda: form(*(part(name, "") for name in first_words(40_000)))),
    "many headers": (422, lambda: form(part("a", "b").replace(b"\r\n\r\n", b"\r\n" + b"A: b\r\n" * 400_000 + b"\r\n"))),
    "a long header": (422, lambda: form(part(text(3_000_000), "b"))),
    "tweaks": (422, lambda: form(part("tweaks", named(b"", b"", b"{}", most=1_000_000).decode()))),
}


@pytest.mark.parametrize("case", FORMS)
async def test_the_largest_forms_keep_nobody_waiting(api: Api, case: str) -> None:
    status, build = FORMS[case]
    content = build()
    answers: list[httpx2.Response] = []

    async def ask() -> None:
        answers.append(await api.client.post("/api/v1/run/echo", content=content, headers=FORM))

    await stays_responsive(ask)
    assert {answer.status_code for answer in answers} == {status}, answers[0].text[:300]


@pytest.mark.parametrize("path", ["/api/v1/run/echo", "/api/v1/files/upload/echo", "/api/v2/files/"])
@pytest.mark.parametrize("more", ['"' + ";" * 58_000, "; ".join(["boundary*0=a"] * 4_000)], ids=["quoted", "in pieces"])
async def test_no_content_type_keeps_anybody_waiting(api: Api, path: str, more: str) -> None:
    headers = {"content-type": f"multipart/form-data; {more}; boundary={BOUNDARY}"}
    answers: list[httpx2.Response] = []

    async def ask() -> None:
        answers.append(await api.client.post(path, content=form(part("input_value", "Hello")), headers=headers))

    await stays_responsive(ask)
    assert {answer.status_code for answer in answers} == {422}, answers[0].text[:300]


async def test_a_form_of_nothing_but_small_parts_keeps_nobody_waiting_where_a_file_is_expected(api: Api) -> None:
    content = form(*[part("a", "")] * 50_000)
    answers: list[httpx2.Response] = []

    async def ask() -> None:
        answers.append(await api.client.post("/api/v2/files/", content=content, headers=FORM))

    await stays_responsive(ask)
    assert {answer.status_code for answer in answers} == {422}


async def ask_calmly(api: Api, method: str, path: str, query: str = "", content: bytes = b"") -> bytes:
    """The body of a 200 that keeps nobody waiting, asked past the client: that one joins all pieces of an answer
    before it gives the first, on the loop that is measured."""
    app = create_api(lambda: api.runtime)
    statuses: list[int] = []
    pieces: list[bytes] = []

    async def ask() -> None:
        pieces.clear()
        given = iter([content])

        async def receive() -> Message:
            if (body := next(given, None)) is not None:
                return {"type": "http.request", "body": body}
            await asyncio.Event().wait()  # nothing more comes
            raise AssertionError

        async def send(message: Message) -> None:
            statuses.extend([message["status"]] if "status" in message else [])
            pieces.append(message.get("body", b""))

        key = api.client.headers["x-api-key"].encode()
        headers = [(b"x-api-key", key), (b"content-type", b"application/json")]
        scope: dict[str, Any] = {"type": "http", "http_version": "1.1", "scheme": "http", "headers": headers}
        scope |= {"method": method, "path": path, "query_string": query.encode()}
        await app(scope, receive, send)

    await stays_responsive(ask)
    assert set(statuses) == {200}
    return b"".join(pieces)


@pytest.mark.parametrize("query", ["", "?shape=simple", "?stream=true", "?stream=sse", "?stream=sse&shape=simple"])
@pytest.mark.parametrize("asked", ["message", "tweak"])
async def test_the_longest_answers_keep_nobody_waiting(tmp_path: Path, query: str, asked: str) -> None:
    said = text(200_000, 'é"\\\n🐎\t') if asked == "message" else text(1_000_000, "€")
    value = {"input_value": said} if asked == "message" else {"tweaks": {"ChatInput": {"input_value": said}}}
    content = body(value)
    limits = {"message_chars": 1_000_000, "answer_chars": 1_000_000}
    async with serving(tmp_path, config={"limits": limits}) as api:
        answer = await ask_calmly(api, "POST", "/api/v1/run/echo", query.removeprefix("?"), content)
    last = next(line for line in reversed(answer.decode().split("\n")) if "{" in line)
    found = json.loads(last[last.index("{") :])
    found = found.get("data", found)
    found = found.get("result", found)
    assert said == (found["text"] if "simple" in query else found["outputs"][0]["outputs"][0]["artifacts"]["message"])


def test_a_long_text_is_encoded_once_and_in_its_places() -> None:
    long, other = "a" * (LONG + 1), '"é\\' * LONG
    value = {"a": [long, {"b": other}, "short", long], "c": (other, None, 1.5), "d": {}}
    assert write_long(value, to_json) == to_json(value)
    assert write_long(value, json.dumps) == json.dumps(value)
    assert write_long(["short"], to_json) == b'["short"]'


@pytest.mark.parametrize(("count", "size"), [(10_000, 20), (150, 200_000)])
async def test_the_largest_session_is_read_back_without_keeping_anybody_waiting(
    api: Api, count: int, size: int
) -> None:
    await api.run("echo", {"input_value": "hi", "session_id": "s"})
    said = text(size, "é\n")

    def fill(connection: Connection) -> None:
        (session,) = connection.execute(select(tables.messages.c.session).limit(1)).one()
        rows = [
            {"id": str(number), "session": session, "role": "assistant" if number % 3 else "user", "text": said,
             "state": "complete", "created_at": 1.0, "run_id": f"run{number // 3}"}
            for number in range(count)
        ]  # fmt: skip
        connection.execute(insert(tables.messages), rows)

    await api.runtime.store.write(fill)
    answer = await ask_calmly(api, "GET", "/api/v1/monitor/messages", "session_id=s&limit=10000")
    found = json.loads(answer)
    assert len(found) == min(count + 2, 10_000)
    assert [message["id"] for message in found[2:102]] == [str(number) for number in range(100)]
    assert found[2]["text"] == said
