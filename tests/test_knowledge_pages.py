"""Pages of the web in a knowledge: when they are asked, what is read of them, and what stays when they fail."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flowground.app import knowledge_admin
from flowground.app.library import LibraryTimes
from flowground.core.caller import LOCAL_OWNER
from flowground.core.errors import RunError
from flowground.knowledge import Knowledge, KnowledgeBusy, KnowledgeSources
from flowground.knowledge.building import BuildReport
from flowground.knowledge.index_folder import IndexFolders
from flowground.knowledge.searching import Hit
from flowground.knowledge.section import KnowledgeSection
from flowground.tools.outgoing import WebPages
from flowground.tools.settings import OutgoingSettings
from tests.documents_of_all_kinds import make_pdf
from tests.run_rows import eventually
from tests.running import hear_turn, read_end, running
from tests.web_site import Site, SitePage, serve_site

HOTELS = b"<html><head><title>Travel &amp; more</title></head><body><h1>Hotels</h1><p>Lyon costs 120 euros.</p></body>"
HERE = {"private_networks": ["127.0.0.1"]}


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_site() as site:
        site.pages["/hotels"] = SitePage(HOTELS, etag='"1"')
        yield site


class Reading:
    """A knowledge over pages of the site and the files of a folder; each call is a process of its own."""

    def __init__(self, home: IndexFolders, folder: Path, **settings: Any) -> None:
        self._settings = OutgoingSettings.model_validate(HERE | settings)
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.knowledge = Knowledge("web", home.open("web"))

    def index(self, *urls: str, asks_all: bool = False, **more: Any) -> BuildReport:
        async def index() -> BuildReport:
            pages = WebPages(self._settings)
            try:
                return await self.knowledge.index(self._name(pages, urls, **more), asks_all=asks_all)
            finally:
                await pages.close()

        return asyncio.run(index())

    def is_outdated(self, *urls: str) -> bool:
        return asyncio.run(self.knowledge.is_outdated(self._name(WebPages(self._settings), urls)))

    def find(self, question: str) -> list[Hit]:
        return asyncio.run(self.knowledge.search(question))

    def list_notes(self) -> dict[str, str]:
        files = asyncio.run(self.knowledge.list_files())
        return {source: file.note for source, file in files.items()}

    def _name(self, pages: WebPages, urls: tuple[str, ...], **more: Any) -> KnowledgeSources:
        return KnowledgeSources(self._folder, ("*.md",), pages=pages.list_sources(urls), **more)


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    return Reading(IndexFolders(tmp_path / "data"), tmp_path / "flows")


def test_a_page_is_found_with_title_and_address_and_its_links_are_not_followed(reading: Reading, site: Site) -> None:
    site.pages["/hotels"] = SitePage(HOTELS + b"<a href='/trains'>Trains</a>")
    report = reading.index(f"{site.url}/hotels")
    assert (report.files, report.passages, report.read) == (1, 1, 1)
    (hit,) = reading.find("Lyon")
    assert (hit.source, hit.title) == (f"{site.url}/hotels", "Travel & more › Hotels")
    assert site.answered == [("/hotels", 200)]
    assert not reading.is_outdated(f"{site.url}/hotels")


@pytest.mark.parametrize("marks", [{"etag": '"1"'}, {"last_modified": "Fri, 27 Nov 2026 10:00:00 GMT"}, {}])
def test_a_page_that_did_not_change_is_not_indexed_again(reading: Reading, site: Site, marks: Any) -> None:
    url = f"{site.url}/hotels"
    site.pages["/hotels"] = replace(SitePage(HOTELS), **marks)
    reading.index(url)
    assert reading.index(url, asks_all=True).read == 0
    assert site.answered[-1] == ("/hotels", 304 if marks else 200)
    new: Any = dict.fromkeys(marks, "new")
    site.pages["/hotels"] = replace(SitePage(HOTELS.replace(b"120", b"130")), **new)
    assert reading.index(url, asks_all=True).read == 1
    assert [hit.text for hit in reading.find("Lyon")] == ["# Hotels\n\nLyon costs 130 euros."]


def test_a_page_is_asked_again_after_its_time_and_one_that_failed_earlier(tmp_path: Path, site: Site) -> None:
    homes = IndexFolders(tmp_path / "data")
    reading = Reading(homes, tmp_path / "flows")
    urls = (f"{site.url}/hotels", f"{site.url}/no")
    reading.index(*urls)
    for minutes, asked in ((1, []), (2, [("/no", 404)]), (1, []), (59, [("/hotels", 304), ("/no", 404)])):
        site.answered.clear()
        home = homes.open("web")
        states = home.read_pages()
        home.write_pages({url: replace(one, asked_at=one.asked_at - 60 * minutes) for url, one in states.items()})
        assert reading.is_outdated(*urls) == bool(asked)
        reading.index(*urls)
        assert sorted(site.answered) == asked


def test_what_was_read_is_found_while_its_page_fails(reading: Reading, site: Site) -> None:
    url = f"{site.url}/hotels"
    reading.index(url)
    site.pages["/hotels"] = SitePage(b"Out of order", status=503)
    report = reading.index(url, asks_all=True)
    says = f"{url} cannot be read: `127.0.0.1` answered with status 503. What was read before is found."
    assert (report.notes, reading.list_notes()) == ({url: says}, {url: says})
    assert len(reading.find("Lyon")) == 1
    with pytest.raises(RunError, match=r"status 503\. Until it can, or is taken out, the index before is used"):
        reading.index(url, asks_all=True, size=500)
    assert len(reading.find("Lyon")) == 1
    site.pages["/hotels"] = SitePage(HOTELS)
    assert reading.index(url, asks_all=True, size=500).notes == {}


def test_what_is_no_longer_named_is_gone_and_files_stay(reading: Reading, site: Site, tmp_path: Path) -> None:
    (tmp_path / "flows" / "a.md").write_text("Nice costs 90 euros.")
    site.pages["/trains"] = SitePage(b"Trains to Lyon", "text/plain")
    reading.index(f"{site.url}/hotels", f"{site.url}/trains")
    assert len(reading.find("Lyon")) == 2
    assert reading.is_outdated(f"{site.url}/trains")
    reading.index(f"{site.url}/trains")
    assert sorted(hit.source for hit in reading.find("Lyon euros")) == ["a.md", f"{site.url}/trains"]
    no = f"{site.url}/no"
    assert "status 404" in reading.index(f"{site.url}/trains", no).notes[no]
    assert reading.is_outdated(f"{site.url}/trains")
    reading.index(f"{site.url}/trains")
    assert reading.list_notes() == {f"{site.url}/trains": "", "a.md": ""}
    reading.index(no)
    reading.index()
    assert reading.list_notes() == {"a.md": ""}
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"Trains to" not in kept


@pytest.mark.parametrize(
    ("path", "page", "text"),
    [
        ("/a", SitePage(make_pdf(["Badges are worn."]), "application/pdf"), "Badges are worn."),
        ("/a.md", SitePage(b"# Rules\n\nBadges", "text/plain"), "# Rules\n\nBadges"),
        ("/a.csv", SitePage(b"badge,price\nred,3\n", "application/octet-stream"), "badge: red\nprice: 3"),
        ("/a", SitePage("Bädges".encode("latin-1"), "text/plain; charset=iso-8859-1"), "Bädges"),
        ("/a?b=c", SitePage(b'{"badge": 1}', "application/json"), '{\n "badge": 1\n}'),
    ],
)
def test_its_type_or_name_says_how_to_read_it(
    reading: Reading, site: Site, path: str, page: SitePage, text: str
) -> None:
    site.pages[path] = page
    assert reading.index(site.url + path).notes == {}
    assert [hit.text for hit in reading.find("badge badges bädges")] == [text]


@pytest.mark.parametrize(
    ("page", "settings", "says"),
    [
        (SitePage(b"\x89PNG", "image/png"), {}, "It is image/png, which has no text."),
        (SitePage(b"", status=302, location="http://localhost/"), {}, "redirects to another host, which is not follow"),
        (SitePage(b"x" * 3_000_001), {}, "has an answer of more than 3,000,000 bytes"),
        (SitePage(b"x"), {"hosts": ["docs.example.com"]}, "is no host that `outgoing.hosts` of config.yaml allows."),
        (SitePage(b"x"), {"private_networks": []}, "(`outgoing.private_networks` names those of your own)"),
        (SitePage(b"PK\x03\x04", "text/html"), {}, "as .html holds no text, whatever its name says."),
    ],
)
def test_what_cannot_be_read_is_a_sentence_with_its_address(
    tmp_path: Path, site: Site, page: SitePage, settings: dict[str, Any], says: str
) -> None:
    reading = Reading(IndexFolders(tmp_path / "data"), tmp_path / "flows", **settings)
    site.pages["/a"] = page
    (note,) = reading.index(f"{site.url}/a").notes.values()
    assert note.startswith(f"{site.url}/a ")
    assert says in note


NO_URLS = ["ftp://a.example/b", "https://name:word@a.example/", "/etc/passwd", "https://a.example\\@b.example/", ""]


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_address_is_refused_by_the_file(url: str) -> None:
    with pytest.raises(ValidationError, match=r"an address is written https://docs\.example\.com/page"):
        KnowledgeSection(urls=(url,))


FLOW = """\
components:
  In: {type: ChatInput}
  Found: {type: Retrieve, knowledge: web, search_query: Lyon}
  Model: {type: LanguageModel, model: scripted, system_message: "${Found.passages}", input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
knowledge:
  web: {urls: [URLS]}
"""


async def test_an_answer_cites_a_page_of_the_web(tmp_path: Path, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    flow = FLOW.replace("URLS", f"{site.url}/hotels, {site.url}/no")
    async with running(tmp_path, {"it": flow}, config={"outgoing": HERE}) as runtime:
        runtime.library.pace = LibraryTimes(0.05, 0.0)
        runtime.library.look_soon()
        end = read_end(await hear_turn(runtime, "it", "So [1]."))
        ((passage,),) = (output.citations for output in end.outputs)
        assert (passage.source, passage.title) == (f"{site.url}/hotels", "Travel & more › Hotels")
        shown = await knowledge_admin.read_knowledge(runtime, LOCAL_OWNER, "it", "web")
        assert shown.indexed is not None
        says = f"{site.url}/no cannot be read: `127.0.0.1` answered with status 404."
        assert shown.indexed[f"{site.url}/no"].note == says

        async def index_again() -> bool:
            with suppress(KnowledgeBusy):  # the app may be at the end of what it did by itself
                await runtime.library.index(runtime.library.find("it", "web"), asks_all=True)
                return True
            return False

        await eventually(index_again)
    assert caplog.text.count(says) == 1
