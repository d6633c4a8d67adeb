"""What a browser is sent before a page's first message: one base, small, kept; and a 404 where nothing stands."""

import asyncio
import gzip
import json
import re
from pathlib import Path

import pytest
import requests
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse

from flowground.ui.assets import find_asset
from flowground.ui.shims import page_messages
from flowground.web.first_load import FirstLoad, takes_gzip
from tests.servers import PUBLIC, ROOT, AppServer, House

HOUSE = House(flows=["echo"], shared={"echo": PUBLIC}, config={"organization": {"name": "Acme <&> Co"}})

PAGES = [f"/{file.stem}" for file in (ROOT / "pages").glob("*.py")]
AT_ROOT = {"/router", "/home", "/sign_in", "/owner_code", "/public_flow"}
"""Files of pages/ whose page stands at `/`, or below `/public_flow/`."""


def ask(server: AppServer, path: str, method: str = "GET", **headers: str) -> requests.Response:
    named = {"Accept": "text/html", "Accept-Encoding": "gzip"} | {
        name.replace("_", "-"): text for name, text in headers.items()
    }
    return requests.request(method, server.url + path, headers=named, timeout=10, allow_redirects=False)


@pytest.mark.parametrize("path", ["/", "/public_flow/echo", "/public_flow/nobody-knows", *sorted(set(PAGES) - AT_ROOT)])
def test_every_page_begins_with_the_same_small_file(house: AppServer, path: str) -> None:
    answer = ask(house, path)
    assert set(PAGES) >= AT_ROOT
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert answer.headers["cache-control"] == "private, no-cache"
    assert int(answer.headers["content-length"]) < 6_200
    assert answer.text == ask(house, "/").text
    again = ask(house, path, If_None_Match=answer.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


def test_it_has_the_organizations_name_and_names_scripts_that_are_there(house: AppServer) -> None:
    text = ask(house, "/").text
    named = re.search(r"for \(const href of (\[.*?\])\)", text)
    assert named
    addresses = json.loads(named[1])
    assert find_asset("chat.js") in addresses
    assert [path for path in addresses if ask(house, path).status_code != 200] == []
    assert "<title>Acme &lt;&amp;&gt; Co</title>" in text


def test_a_script_is_sent_small_and_kept_for_good(house: AppServer) -> None:
    found = re.search(r'src="(/static/js/index\.[^"]+\.js)"', ask(house, "/").text)
    assert found
    path = found[1]  # of the script that index.html begins with
    answer = ask(house, path)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, immutable, max-age=31536000"
    assert int(answer.headers["content-length"]) < len(answer.content) / 2
    assert ask(house, path, If_None_Match=answer.headers["etag"]).status_code == 304
    head = ask(house, path, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]
    plain = ask(house, path, Accept_Encoding="identity")
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content == page_messages.read_file(page_messages.find_files()[path])


async def test_a_file_is_compressed_once_and_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For all who ask at once; for who takes no gzip a piece is held. What could not be read is read again."""
    path = max(page_messages.find_files(), key=lambda path: page_messages.find_files()[path].stat().st_size)
    files, read, reads = FirstLoad("", pages=(), routes=()), page_messages.read_file, 0

    def count(file: Path) -> bytes:
        nonlocal reads
        reads += 1
        if reads == 1:
            raise OSError("too many open files")
        return read(file)

    async def find(*headers: tuple[bytes, bytes]) -> Response | None:
        return await files.find_answer({"type": "http", "method": "GET", "path": path, "headers": headers})

    monkeypatch.setattr(page_messages, "read_file", count)
    with pytest.raises(OSError, match="too many"):
        await find()
    small = await asyncio.gather(*(find((b"accept-encoding", b"gzip")) for _ in range(20)))
    assert (reads, len({id(answer.body) for answer in small if answer})) == (2, 1)
    plain = await find()
    assert isinstance(plain, StreamingResponse)
    pieces = [bytes(piece) async for piece in plain.body_iterator if not isinstance(piece, str)]
    assert (b"".join(pieces), reads) == (read(page_messages.find_files()[path]), 2)
    assert max(map(len, pieces)) == 65_536


def test_a_font_is_sent_as_it_is(house: AppServer) -> None:
    path = next(path for path in page_messages.find_files() if path.endswith(".woff2"))
    answer = ask(house, path)
    assert "content-encoding" not in answer.headers
    assert answer.content == (page_messages.FOLDER / path[1:]).read_bytes()
    assert answer.headers["content-type"] == "font/woff2"


def test_all_files_compressed_are_few_megabytes() -> None:
    """What the process keeps when every file has been asked for."""
    texts = [file for file in page_messages.find_files().values() if page_messages.is_text(file)]
    assert len(texts) > 300
    assert sum(len(gzip.compress(page_messages.read_file(file), 6)) for file in texts) < 8_000_000


@pytest.mark.parametrize("base", ["/playground", "/account", "/static", "/nowhere", "/public_flow/a/b"])
def test_streamlits_health_stands_at_no_page(house: AppServer, base: str) -> None:
    """Its frontend takes the first address for its server below which this answers 200, with whatever."""
    assert ask(house, f"{base}/_stcore/health").status_code == 404
    for known in ("", "/public_flow/echo"):
        assert ask(house, f"{known}/_stcore/health").text == "ok"


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/playground/x", "/public_flow/a/b", "/router", "/owner_code", "/static/js/none.js", "/index.html"],
)
def test_where_nothing_stands_there_is_a_404_with_a_way_out(house: AppServer, path: str) -> None:
    answer = ask(house, path)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert '<a href="/">Go to your flows</a>' in answer.text
    told = ask(house, path, Accept="application/json")
    assert (told.status_code, told.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("path", ["/playground", "/public_flow/echo", "/"])
def test_a_page_with_an_endless_address_says_so(house: AppServer, path: str) -> None:
    """Streamlit's page would wait for an answer to it that never comes."""
    answer = ask(house, f"{path}?overrides={'A' * 100_000}"[:60_000])
    assert answer.status_code == 414
    assert "This address is too long" in answer.text
    assert '<a href="/">Go to your flows</a>' in answer.text
    assert ask(house, f"{path}?overrides={'A' * 15_000}").status_code == 200


@pytest.mark.parametrize("path", ["/home", "/sign_in"])
def test_names_of_the_first_page_lead_there(house: AppServer, path: str) -> None:
    answer = ask(house, path)
    assert (answer.status_code, answer.headers["location"]) == (307, "/")


@pytest.mark.parametrize(
    ("said", "does"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("", False), ("br", False), ("gzip;q=0, br", False)],
)
def test_only_who_understands_gzip_is_sent_it(said: str, *, does: bool) -> None:
    assert takes_gzip(Headers({"accept-encoding": said})) is does
