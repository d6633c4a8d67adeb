"""`knowledge`: what there is, indexed and searched."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from flowground.runs.files import FileOffer, Files, name_owner
from flowground.settings import Settings
from flowground.store import Store
from tests.command_line import ECHO, Here
from tests.documents_of_all_kinds import make_pdf
from tests.fake_run_endpoint import FakeRunEndpoint
from tests.servers import write_folder
from tests.web_site import Site, SitePage, serve_site

KNOWS = 'knowledge:\n  handbook: {files: ["knowledge/*.{md,pdf}"]}\n'

CITES = f"""\
components:
  In: {{type: ChatInput}}
  Lyon: {{type: Retrieve, knowledge: handbook, search_query: Lyon}}
  Badges: {{type: Retrieve, knowledge: handbook, search_query: badges}}
  Model: {{type: LanguageModel, model: scripted, system_message: "${{Lyon.passages}} ${{Badges.passages}}",
    input_value: "${{In}}"}}
  Out: {{type: ChatOutput, input_value: "${{Model}}"}}
{KNOWS}"""


@pytest.fixture
def folder(here: Here) -> Here:
    """A flow that looks things up in a file, which was not written just now."""
    (here.folder / "flows" / "travel.yaml").write_text(ECHO.replace("Echo", "Travel") + KNOWS)
    files = here.folder / "flows" / "knowledge"
    files.mkdir()
    (files / "hotels.md").write_text("# Hotels\n\nLyon costs 120 euros.\n\n# Trains\n\nSecond class only.\n")
    os.utime(files / "hotels.md", (1_600_000_000, 1_600_000_000))
    return here


def test_knowledge_is_listed_indexed_and_searched(folder: Here) -> None:
    damaged = folder.folder / "flows" / "knowledge" / "old.pdf"
    damaged.write_bytes(b"%PDF-1.4 broken")
    os.utime(damaged, (1_600_000_000, 1_600_000_000))
    assert [line.split() for line in folder("knowledge", "list").out.splitlines()] == [
        ["NAME", "FILES", "NOT", "READ", "PASSAGES", "INDEX"],
        ["travel/handbook", "-", "-", "-", "not", "indexed"],
    ]
    early = folder("knowledge", "search", "travel/handbook", "Lyon")
    assert (early.code, "The knowledge 'travel/handbook' is not indexed yet." in early.err) == (1, True)
    said = folder("knowledge", "index")
    assert said.code == 1
    told = "travel/handbook: 1 passage of 1 file, 1 file could not be read (2 files read, 0 removed, "
    assert said.out.startswith(told)
    assert said.err == "travel/handbook: knowledge/old.pdf is a damaged PDF.\n"
    assert folder("knowledge", "list").last_line.split() == ["travel/handbook", "1", "1", "1", "current"]
    (folder.folder / "flows" / "knowledge" / "hotels.md").write_text("Lyon costs 130 euros.")
    assert folder("knowledge", "list").last_line.endswith("files changed")
    assert "(1 file read, 0 removed" in folder("knowledge", "index", "travel/handbook").out
    found = folder("knowledge", "search", "travel/handbook", "Lyon?")
    place, text = found.out.splitlines()
    assert place.startswith("knowledge/hotels.md, characters 0-21, score 0.")
    assert text.strip() == "Lyon costs 130 euros."
    (folder.folder / "flows" / "knowledge" / "trains.md").write_text("# Trains\n\nSecond class only.")
    folder("knowledge", "index")
    assert folder("knowledge", "search", "handbook", "trains").out.splitlines()[0].endswith(": Trains")
    nothing = folder("knowledge", "search", "travel/handbook", "Lyon", "--source", "*.pdf")
    assert (nothing.out, nothing.err) == ("", "Nothing was found.\n")


def test_a_run_names_what_its_answer_cites_below_it(folder: Here) -> None:
    (folder.folder / "flows" / "rooms.yaml").write_text(CITES)
    (folder.folder / "flows" / "knowledge" / "badges.pdf").write_bytes(make_pdf(["Visitors", "Badges are worn."]))
    folder("knowledge", "index", "rooms/handbook")
    for stream in ((), ("--stream",)):
        said = folder("run", "rooms", "--message", "Lyon [1], badges [2], and [7].", *stream)
        places = ["[1] knowledge/hotels.md: Hotels", "[2] knowledge/badges.pdf, page 2"]
        assert said.out.splitlines() == ["You said: Lyon [1], badges [2], and [7].", *places]
    assert folder("run", "rooms", "--message", "none").out == "You said: none\n"


def test_an_index_of_all_files_is_a_success_and_says_which_filter_no_file_fits(folder: Here) -> None:
    found = "  Found: {type: Retrieve, knowledge: handbook, search_query: hi, filters: {client: Acme}}\n"
    flow = folder.folder / "flows" / "travel.yaml"
    flow.write_text(flow.read_text().replace("components:\n", f"components:\n{found}"))
    said = folder("knowledge", "index")
    assert said.code == 0
    assert said.err.startswith("travel/handbook: `Found` of the flow travel: The filter `client` is a key of no file: ")


def test_while_vectors_are_missing_each_command_says_why_and_tests_ask_no_server(
    folder: Here, endpoint: FakeRunEndpoint
) -> None:
    flow = folder.folder / "flows" / "travel.yaml"
    found = '  Found: {type: Retrieve, knowledge: handbook, search_query: "${In}"}\n'
    text = flow.read_text().replace("components:\n", f"components:\n{found}").replace('"${In}"}\nkn', '"${Found}"}\nkn')
    text = text.replace('md,pdf}"]', 'md,pdf}"], embeddings: "mine:small"')
    flow.write_text(f"{text}tests:\n  - {{message: Lyon, expect: {{contains: 120 euros}}}}\n")
    mine = {"type": "openai", "base_url": f"{endpoint.url}/v1", "retries": 0}
    write_folder(folder.folder, config={"default_model": "scripted", "providers": {"mine": mine}}, flows={})
    assert (folder("test", "travel").code, endpoint.paths) == (0, [])
    why = "travel/handbook: Only words are found: The provider 'mine' "
    assert folder("knowledge", "index").err.startswith(why)
    listed = folder("knowledge", "list")
    assert listed.last_line.split() == ["travel/handbook", "1", "0", "1", "vectors", "missing"]
    assert listed.err.startswith(why)
    searched = folder("knowledge", "search", "handbook", "Lyon")
    assert searched.out.startswith("knowledge/hotels.md")
    assert searched.err.startswith(why)


def test_what_authors_added_is_indexed_too(here: Here) -> None:
    (here.folder / "flows" / "travel.yaml").write_text(
        ECHO.replace("Echo", "Travel") + "knowledge:\n  handbook: {uploads: true}\n"
    )

    async def keep() -> None:
        settings = Settings.load(here.folder / "config.yaml")
        store = Store.open(settings.database)
        opened = Files(store, settings)

        async def read() -> AsyncIterator[bytes]:
            yield b"Lyon costs 120 euros."

        await opened.receive(read(), FileOffer(name_owner("travel/handbook"), "hotels.md", by="cli"))
        opened.close()
        store.close()

    asyncio.run(keep())
    assert here("knowledge", "index").out.startswith("travel/handbook: 1 passage of 1 file (1 file read")
    assert here("knowledge", "list").last_line.split() == ["travel/handbook", "1", "0", "1", "current"]
    assert here("knowledge", "search", "travel/handbook", "Lyon").out.startswith("uploads/hotels.md, characters 0-21")
    flow = here.folder / "flows" / "travel.yaml"
    flow.write_text("components: [")
    assert "travel" not in here("knowledge", "list").out  # a mistake for a moment is no reason to delete files
    flow.unlink()
    left = here("knowledge", "list")
    assert left.last_line.split() == ["travel/handbook", "1", "-", "-", "no", "flow", "names", "it"]
    assert left.err.startswith("What was added to a knowledge that no flow names stays until an admin deletes it")


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_site() as served:
        yield served


def test_the_command_line_asks_now_and_names_what_cannot_be_read(here: Here, site: Site) -> None:
    site.pages["/hotels"] = SitePage(b"<h1>Hotels</h1><p>Lyon costs 120 euros.")
    flow = ECHO.replace("Echo", "Travel") + f"knowledge:\n  web: {{urls: [{site.url}/hotels, {site.url}/no]}}\n"
    flow = flow.replace("  Out:", '  Found: {type: Retrieve, knowledge: web, search_query: "${In}"}\n  Out:')
    (here.folder / "flows" / "travel.yaml").write_text(flow)
    write_folder(here.folder, config={"outgoing": {"private_networks": ["127.0.0.1"]}}, flows={})
    said = here("knowledge", "index")
    assert said.out.startswith("travel/web: 1 passage of 1 file, 1 file could not be read (1 file read")
    assert said.err == f"travel/web: {site.url}/no cannot be read: `127.0.0.1` answered with status 404.\n"
    listed = here("knowledge", "list")
    assert (listed.last_line.split(), listed.err) == (["travel/web", "1", "1", "1", "current"], said.err)
    assert here("knowledge", "search", "web", "Lyon").out.startswith(f"{site.url}/hotels, characters ")
    (here.folder / "flows" / "travel.yaml").write_text(flow.replace(f", {site.url}/no", ""))
    assert here("knowledge", "index").err == ""
    site.answered.clear()
    assert here("test", "travel").code == 1  # there are none; and no page is asked
    assert site.answered == []
