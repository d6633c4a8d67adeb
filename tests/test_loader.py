"""The folder of flow files: read, and read again when it changes, by any thread and beside a loop."""

import os
import threading
import time
from pathlib import Path

import pytest

from flowground.flows.folder import Catalogue
from tests.flow_folder import Folder, read_said, text
from tests.waiting import eventually


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_flows_come_by_name_and_are_found_by_id_and_endpoint_name(folder: Folder) -> None:
    folder.write("b.yaml", text("Zebra", extra="api: {endpoint_name: stripes}\n"))
    folder.write("a.yml", text("apple"))
    folder.write("c.yaml", text("Mango", extra="id: b7eb5878-8be8-40e4-8262-3aab381924ac\n"))
    folder.write("notes.txt", "no flow")
    folder.write(".hidden.yaml", "no flow")
    (folder.path / "folder.yaml").mkdir()
    catalogue = folder.catalogue
    assert list(catalogue.list_flows()) == ["a", "b7eb5878-8be8-40e4-8262-3aab381924ac", "b"]
    names = {"a": "apple", "b": "Zebra", "stripes": "Zebra", "B7EB5878-8BE8-40E4-8262-3AAB381924AC": "Mango"}
    for address in (*names, "B", ""):
        flow = catalogue.find(address)
        assert (flow and flow.name) == names.get(address)
    assert catalogue.list_problems() == {}


def test_a_changed_file_is_read_again_and_a_deleted_one_is_gone(folder: Folder) -> None:
    folder.write("talk.yaml", text(said="one"))
    first = folder.catalogue.find("talk")
    assert folder.catalogue.find("talk") is first
    folder.write("talk.yaml", text(said="two"))
    folder.write("new.yaml", text(said="new"))
    assert (folder.said("talk"), folder.said("new")) == ("two", "new")
    (folder.path / "talk.yaml").rename(folder.path / "talk.yaml~")  # away for one look, while it is saved
    assert folder.said("talk") == "two"
    folder.write("talk.yaml", text(said="three"))
    assert [folder.said("talk"), folder.said("talk")] == ["three", "three"]
    (folder.path / "talk.yaml").unlink()
    assert [folder.said("talk"), folder.said("talk")] == ["three", None]


def test_a_touched_file_keeps_its_flow(folder: Folder) -> None:
    folder.write("talk.yaml", text())
    first = folder.catalogue.find("talk")
    os.utime(folder.path / "talk.yaml", (1, 1))
    assert folder.catalogue.find("talk") is first


@pytest.mark.parametrize("written", ["talk.yaml", "other"])
def test_a_file_written_or_replaced_in_one_tick_of_the_clock_is_read(folder: Folder, written: str) -> None:
    folder.write("talk.yaml", text(said="one"))
    assert folder.said("talk") == "one"
    stat = (folder.path / "talk.yaml").stat()
    folder.write(written, text(said="two"))
    os.utime(folder.path / written, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (folder.path / written).replace(folder.path / "talk.yaml")
    assert folder.said("talk") == "two"


def test_looks_are_half_a_second_apart(folder: Folder) -> None:
    folder.write("talk.yaml", text(said="one"))
    catalogue = Catalogue(folder.path)
    folder.write("talk.yaml", text(said="two"))
    catalogue._looked = time.monotonic() + 60  # however long a busy machine took since the look
    assert read_said(catalogue, "talk") == "one"
    catalogue._looked = time.monotonic()
    eventually(lambda: read_said(catalogue, "talk") == "two")


def test_many_threads_see_whole_flows_while_files_change(folder: Folder) -> None:
    folder.write("talk.yaml", text(said="start"))
    folder.write("other.yaml", text(extra="api: {endpoint_name: side}\n"))
    catalogue, failures, stop = folder.catalogue, [], threading.Event()

    def look() -> None:
        while not stop.is_set():
            catalogue._looked = 0.0
            flows = catalogue.list_flows()
            if set(flows) != {"talk", "other"} or catalogue.find("side") is None:
                failures.append(dict(flows))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(15):
        folder.write("new", text(said=f"'{number}'"))
        (folder.path / "new").replace(folder.path / "talk.yaml")
        time.sleep(0.005)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert folder.said("talk") == "14"


async def test_on_a_loop_a_changed_file_is_live_when_asked_for(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowground.flows.folder._LOOK_WAIT", 20)  # on a busy machine a look takes longer than 0.2 s
    folder.write("talk.yaml", text(said="one"))
    catalogue = Catalogue(folder.path)
    for said in ("two", "three"):
        folder.write("talk.yaml", text(said=said))
        catalogue._looked = 0.0
        await catalogue.refresh()
        assert read_said(catalogue, "talk") == said


async def test_on_a_loop_nothing_is_read_and_what_is_there_serves(folder: Folder) -> None:
    on_the_loop, goes_on = threading.current_thread(), threading.Event()

    class Waiting(Catalogue):
        def _look(self) -> None:
            assert threading.current_thread() is on_the_loop or goes_on.wait(20)
            super()._look()

    folder.write("talk.yaml", text(said="one"))
    catalogue = Waiting(folder.path)
    folder.write("talk.yaml", text(said="two"))
    catalogue._looked = 0.0
    assert read_said(catalogue, "talk") == "one"
    goes_on.set()
    eventually(lambda: read_said(catalogue, "talk") == "two")
