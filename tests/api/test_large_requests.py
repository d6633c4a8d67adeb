"""The largest requests there may be keep nobody waiting: refused or answered, none holds the loop for 50 ms.

Their repeats by an idempotency key neither.
"""

import itertools
import json
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection, insert, select

from flowground.api.incoming import MOST_VALUES
from flowground.store import tables
from tests.api.calls import Api, Line, find_message
from tests.api.serving import serving
from tests.heartbeat import stays_responsive

MOST = 3_145_728


def first_words(count: int) -> Iterator[str]:
    """Four letters each, none twice."""
    letters = itertools.product(string.ascii_letters + string.digits, repeat=4)
    return ("".join(word) for word in itertools.islice(letters, count))


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


def tweak(component: str, field: str, value: Any) -> bytes:
    return body({"tweaks": {component: {field: value}}})


def template(value: str) -> bytes:
    return tweak("Prompt", "template", value)


MOST_LISTS = MOST_VALUES // 2 * 3 - 100
TWEAKED: dict[str, tuple[int, Callable[[], bytes]]] = {
    "the largest message": (200, lambda: body({"input_value": text(200_000, 'é"\\\n🐎')})),
    "a message over its limit": (422, lambda: body({"input_value": text(3_000_000)})),
    "a text of quotes and backslashes": (422, lambda: body({"input_value": text(1_000_000, '"\\')})),
    "a text of commas and brackets": (422, lambda: body({"input_value": text(3_000_000, "[,{")})),
    "a text of escapes": (422, lambda: filled(b'{"input_value":"', b"\\u00e9", b'"}', between=b"")),
    "a million lists": (422, lambda: filled(b'{"x":[', b"[]", b"]}")),
    "lists in lists": (422, lambda: filled(b'{"x":[', b"[[]]", b"]}")),
    "a million numbers": (422, lambda: filled(b'{"x":[', b"1", b"]}")),
    "as many lists as may be": (200, lambda: filled(b'{"input_value":"x","x":[', b"[]", b"]}", most=MOST_LISTS)),
    "long numbers": (200, lambda: filled(b'{"input_value":"x","x":[', b"1.2345678901234567890123456789e-5", b"]}")),
    "a million brackets": (422, lambda: b'{"x":' + b"[" * 1_000_000),
    "a million objects": (422, lambda: b'{"a":' * 600_000),
    "unknown names beside the tweaks": (422, lambda: named(b"", b"", b"0")),
    "unknown names in the body": (200, lambda: named(b"", b"", b"0", count=MOST_VALUES - 10)),
    "tweaks of unknown fields everywhere": (422, lambda: named(b'{"tweaks":', b"}", b"0", count=MOST_VALUES - 10)),
    "tweaks of unknown components": (422, lambda: named(b'{"tweaks":', b"}", b"{}", count=MOST_VALUES // 2 - 10)),
    "tweaks of unknown fields": (422, lambda: named(b'{"tweaks":{"Second":', b"}}", b"0", count=MOST_VALUES - 10)),
    "tweaks that nothing can hold": (422, lambda: named(b'{"tweaks":{"Second":{"seed":', b"}}}", b"[]", count=49_000)),
    "a list for every field": (422, lambda: filled(b'{"tweaks":{"temperature":[', b"1", b"]}}", most=190_000)),
    "a text in a number": (422, lambda: tweak("Second", "temperature", text(3_000_000))),
    "a text with a million quotes in a number": (422, lambda: tweak("Second", "temperature", text(1_000_000, '"'))),
    "a text as long as an answer": (200, lambda: tweak("Topic", "input_value", text(450_000, "日本"))),
    "the largest text": (502, lambda: tweak("Topic", "input_value", text(1_000_000, "€"))),
    "a text over its limit": (422, lambda: tweak("Topic", "input_value", text(1_000_001))),
    "a long name of a field": (422, lambda: tweak("Second", text(3_000_000), 1)),
    "a long name of a component": (422, lambda: body({"tweaks": {text(3_000_000): {"temperature": 1}}})),
    "a long session": (422, lambda: body({"session_id": text(3_000_000)})),
    "a long output": (200, lambda: body({"output_component": text(3_000_000)})),
    "a template over its limit": (422, lambda: template(text(3_000_000, "{x}"))),
    "the largest template of variables": (422, lambda: template(text(256_000, "{x}"))),
    "the largest template of new variables": (422, lambda: template("{" + "}{".join(first_words(42_000)) + "}")),
    "the largest template of known variables": (422, lambda: template(text(256_000, "{topic}"))),
    "as many known variables as may be": (200, lambda: template(text(249_000) + "{topic}" * 1000)),
    "the largest template of braces": (200, lambda: template(text(256_000, "{{}}"))),
    "the largest template of open braces": (200, lambda: template(text(256_000, "{"))),
    "the largest template of JSON": (200, lambda: template(text(256_000, '{"a": {"b": '))),
}  # fmt: skip


async def ask_calmly(
    api: Api, content: bytes, statuses: set[int], *paths: str, headers: dict[str, str] | None = None
) -> list[httpx2.Response]:
    """What was answered in all tries, path by path; nobody waited while it was asked."""
    answers: list[httpx2.Response] = []

    async def ask() -> None:
        sent = {name: value.format(len(answers)) for name, value in (headers or {}).items()}
        for path in paths:
            answers.append(await api.client.post(path, content=content, headers=sent))
            api.forget_turns()  # a repeat is told from the store

    await stays_responsive(ask)
    assert {answer.status_code for answer in answers} == statuses, answers[0].text[:300]
    return answers


@pytest.mark.parametrize("case", TWEAKED)
async def test_the_largest_bodies_keep_nobody_waiting(api: Api, case: str) -> None:
    status, build = TWEAKED[case]
    (answer, *_) = await ask_calmly(api, build(), {status}, "/api/v1/run/tweaked")
    assert status == 200 or status == 502 or len(answer.content) < 20_000


REPEATED = ("the largest message", "as many lists as may be", "tweaks of unknown fields")


@pytest.mark.parametrize("case", [*REPEATED, "a text as long as an answer", "long numbers"])
async def test_the_largest_requests_with_a_key_keep_nobody_waiting(api: Api, case: str) -> None:
    status, build = TWEAKED[case]
    paths, key = ("/api/v1/run/tweaked", "/api/v1/run/tweaked?stream=sse"), {"idempotency-key": "k"}
    answers = await ask_calmly(api, build(), {status}, *paths, headers=key)
    assert {answer.status_code for answer in answers[::2]} == {status}
    first = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
    assert len(first) == (1 if status == 200 else len(answers))


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
    "a thousand fields": (422, lambda: form(*(part(name, "x" * 2_000) for name in first_words(1_000)))),
    "too many fields": (422, lambda: form(*(part(name, "") for name in first_words(40_000)))),
    "small parts for a file": (422, lambda: form(*[part("a", "")] * 50_000)),
    "many headers": (422, lambda: form(part("a", "b").replace(b"\r\n\r\n", b"\r\n" + b"A: b\r\n" * 400_000 + b"\r\n"))),
    "a long header": (422, lambda: form(part(text(3_000_000), "b"))),
    "tweaks": (422, lambda: form(part("tweaks", named(b"", b"", b"{}", most=1_000_000).decode()))),
}


@pytest.mark.parametrize("case", FORMS)
async def test_the_largest_forms_keep_nobody_waiting(api: Api, case: str) -> None:
    status, build = FORMS[case]
    path = "/api/v2/files/" if case == "small parts for a file" else "/api/v1/run/echo"
    await ask_calmly(api, build(), {status}, path, headers=FORM)


async def read_calmly(api: Api, method: str, path: str, query: str = "", content: bytes = b"") -> bytes:
    """The body of a 200 that keeps nobody waiting, asked past the client: that one joins all pieces of an answer
    before it gives the first, on the loop that is measured."""
    received = bytearray()

    async def ask() -> None:
        line = Line(api, [(b"x-api-key", api.client.headers["x-api-key"].encode())], received=received)
        received.clear()
        await line.ask(method, path, query=query, body=content)

    await stays_responsive(ask)
    return bytes(received)


@pytest.mark.parametrize("query", ["", "?shape=simple", "?stream=true", "?stream=sse", "?stream=sse&shape=simple"])
@pytest.mark.parametrize("asked", ["message", "tweak"])
async def test_the_longest_answers_keep_nobody_waiting(
    tmp_path: Path, query: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowground.runs.runner.LONGEST_ANSWER", 1_000_000)
    said = text(200_000, 'é"\\\n🐎\t') if asked == "message" else text(1_000_000, "€")
    content = body({"input_value": said}) if asked == "message" else tweak("ChatInput", "input_value", said)
    async with serving(tmp_path, config={"limits": {"message_chars": 1_000_000}}) as api:
        answer = await read_calmly(api, "POST", "/api/v1/run/echo", query.removeprefix("?"), content)
    last = next(line for line in reversed(answer.decode().split("\n")) if "{" in line)
    found = json.loads(last[last.index("{") :])
    found = found.get("data", found)
    assert said == (found["text"] if "simple" in query else find_message(found.get("result", found))["text"])


@pytest.mark.parametrize(("many", "size"), [(10_000, 20), (150, 200_000)])
async def test_the_largest_session_is_read_back_without_keeping_anybody_waiting(api: Api, many: int, size: int) -> None:
    await api.run("echo", {"input_value": "hi", "session_id": "s"})
    said = text(size, "é\n")

    def fill(connection: Connection) -> None:
        (session,) = connection.execute(select(tables.messages.c.session).limit(1)).one()
        rows = [
            {"id": str(number), "session": session, "role": "assistant" if number % 3 else "user", "text": said,
             "state": "complete", "created_at": 1.0, "run_id": f"run{number // 3}"}
            for number in range(many)
        ]  # fmt: skip
        connection.execute(insert(tables.messages), rows)

    await api.runtime.store.write(fill)
    found = json.loads(await read_calmly(api, "GET", "/api/v1/monitor/messages", "session_id=s&limit=10000"))
    assert len(found) == min(many + 2, 10_000)
    assert [message["id"] for message in found[2:102]] == [str(number) for number in range(100)]
    assert found[2]["text"] == said
