"""Files below the doors: kinds and names, bytes that are lost by nobody and left by nobody, and what deletes them."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flowground.app.retention import RetentionTask
from flowground.core.caller import Owner
from flowground.core.errors import BodyTooLarge, FlowError, ServerBusy
from flowground.core.media_types import clean_name, find_media_type, is_accepted, name_accepted
from flowground.runs import files as disk
from flowground.runs.files import FileGone, FileOffer, FileRefused, Files
from flowground.settings import RetentionSettings, Settings
from flowground.settings.limits import PublicSettings
from flowground.store import Store
from flowground.store.people import members, removals
from flowground.store.runs import files
from flowground.store.runs.files import StoredFile
from tests.flow_texts import wired
from tests.waiting import list_files

ADA = Owner("member", "ada")
DAY = 86_400


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


async def keep(kept: Files, data: bytes = b"hello", name: str = "a.txt", **more: Any) -> StoredFile:
    return await kept.receive(pieces(data), FileOffer(more.pop("owner", ADA), name, **more))


@pytest.fixture
async def kept(store: Store, tmp_path: Path) -> AsyncIterator[Files]:
    settings = Settings.load(tmp_path / "config.yaml").model_copy(update={"data": tmp_path / "data"})
    opened = Files(store, settings)
    yield opened
    opened.close()


def list_bytes(kept: Files) -> list[Path]:
    return list_files(kept.folder)


async def delete(kept: Files, file: StoredFile, owner: str = "") -> bool:
    return await kept.store.write(files.delete_file, key=file.reference.id, owners=[owner or file.owner])


WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
KINDS = [
    *((b"\x89PNG\r\n\x1a\n...", "a.txt", "image/png"), (b"\xff\xd8\xff\xe0", "a.png", "image/jpeg")),
    *((b"RIFF\x00\x00\x00\x00WEBPVP8 ", "a", "image/webp"), (b"%PDF-1.7", "a.html", "application/pdf")),
    *((b"PK\x03\x04....word/document.xml", "a.zip", WORD), (b"PK\x03\x04....", "a.docx", "application/zip")),
    *((b"<html><script>", "a.png", "text/plain"), (b"<html><script>", "a.html", "text/html")),
    *((b"<svg onload=x>", "a.svg", "text/plain"), (b"# A title", "a.MD", "text/markdown")),
    *((b"MZ\x90", "a.txt", "application/octet-stream"), (b"\x00\x01", "a.txt", "application/octet-stream")),
    *((b"\xe4 old text", "a.txt", "text/plain"), (b"x" * 65_535 + b"\xc3", "a.txt", "text/plain")),
]
NAMES = {
    "../../etc/passwd": "passwd",
    "C:\\Users\\ada\\photo.png": "photo.png",
    "a\x00b\nc.txt": "a b c.txt",
    "gnp.\u202etxt.exe": "gnp. txt.exe",
    "..": "file",
    "": "file",
    'a"b<c>.txt': "a_b_c_.txt",
    "\ud800.txt": "txt",
    "x" * 400 + ".pdf": "x" * 146 + ".pdf",
    "Übersicht 2026 – Größe.pdf": "Übersicht 2026 – Größe.pdf",
}


@pytest.mark.parametrize(("head", "name", "kind"), KINDS)
def test_the_bytes_say_what_a_file_is(head: bytes, name: str, kind: str) -> None:
    assert find_media_type(head, b"", name) == kind


def test_a_name_has_no_path_and_nothing_unseen() -> None:
    assert {given: clean_name(given) for given in NAMES} == NAMES


def test_what_a_flow_takes_is_a_pattern_and_a_word() -> None:
    assert is_accepted("image/png", ["image/*"])
    assert not is_accepted("image/png", ["image/jpeg", "text/*"])
    assert is_accepted("application/zip", ["*/*"])
    assert name_accepted(["image/*", "application/pdf"]) == "images or PDF"
    with pytest.raises(FlowError, match=r"`chat.accepts.*`image/jpg` is no kind of file"):
        wired("chat: {accepts: [image/jpg]}\ncomponents:\n  A: {type: ChatInput}\n")


async def test_what_is_not_taken_leaves_nothing(kept: Files) -> None:
    with pytest.raises(FileRefused, match="takes images, and it is text/plain"):
        await keep(kept, accepts=["image/*"])
    with pytest.raises(BodyTooLarge, match="over 20 MB"):
        await keep(kept, b"x" * 20_000_001)

    async def breaks_off() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await kept.receive(breaks_off(), FileOffer(ADA, "a"))
    assert list_bytes(kept) == []


async def test_visitors_keep_little(kept: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of their own, and all of one flow together."""
    visitor = Owner("visitor", "v")
    with pytest.raises(BodyTooLarge, match="over 5 MB"):
        await keep(kept, b"x" * 5_000_001, owner=visitor)
    monkeypatch.setattr("flowground.runs.files._MOST_OF_VISITOR", 9_000)
    public = kept.settings.sharing.public.model_copy(update={"flow_file_bytes": 10_000})
    sharing = kept.settings.sharing.model_copy(update={"public": public})
    kept.settings = kept.settings.model_copy(update={"sharing": sharing})
    for owner in ("v", "w"):
        await keep(kept, owner=Owner("visitor", owner), flow_id="talk")
    with pytest.raises(files.FilesFull, match="takes no more files at the moment"):
        await keep(kept, owner=visitor, flow_id="talk")
    await keep(kept, owner=visitor, flow_id="other")
    with pytest.raises(files.FilesFull, match="more than 9 kB"):
        await keep(kept, owner=visitor, flow_id="third")


async def test_one_address_takes_ten_of_the_places_of_visitors(kept: Files) -> None:
    with ExitStack() as stack:
        for number in range(10):
            stack.enter_context(kept.admit(Owner("visitor", f"v{number}"), "192.0.2.1"))
        with pytest.raises(ServerBusy):
            stack.enter_context(kept.admit(Owner("visitor", "another"), "192.0.2.1"))
        stack.enter_context(kept.admit(Owner("visitor", "another"), "192.0.2.2"))


async def test_bytes_go_with_their_last_row(kept: Files) -> None:
    one, two = await keep(kept), await keep(kept, owner=Owner("member", "bob"))
    assert one.reference.sha256 == two.reference.sha256
    assert not await delete(kept, two, one.owner)
    for file in (one, two):
        assert await kept.read(file.reference) == b"hello"
        assert await delete(kept, file)
        assert await kept.sweep(time.time()) == 1
    assert (list_bytes(kept), await kept.sweep(time.time())) == ([], 0)
    with pytest.raises(FileGone):
        await kept.read(two.reference)


async def test_a_text_that_was_read_goes_with_its_bytes(kept: Files) -> None:
    """Also where another process deleted them."""
    other = Files(kept.store, kept.settings)
    for deletes in (kept, other):
        file = await keep(kept, b"a canary", name=f"{id(deletes)}.txt")
        assert await kept.extract(file.reference) == await kept.extract(file.reference) == "a canary"
        assert "a canary" in repr(kept)
        assert await delete(kept, file)
        assert await deletes.sweep(time.time()) == 1
        assert deletes is other or "a canary" not in repr(kept)
        with pytest.raises(FileGone):
            await kept.extract(file.reference)
        assert "a canary" not in repr(kept)
    await kept.end_reading()
    other.close()


async def test_bytes_of_a_process_that_died_are_swept(kept: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had placed them, and died before it could keep the row."""

    def die(*_: Any, **__: Any) -> None:
        raise OSError("killed")

    monkeypatch.setattr(files, "add_file", die)
    with pytest.raises(OSError, match="killed"):
        await keep(kept)
    assert len(list_bytes(kept)) == 1
    assert await kept.sweep(time.time()) == 0
    assert await kept.sweep(time.time() + 3_700) == 1
    assert list_bytes(kept) == []


async def test_a_sweep_that_died_leaves_what_is_somebodys(kept: Files) -> None:
    """It had put them aside; until the next one they are read from there."""
    file = await keep(kept)
    await kept.store.write(files.note_loose, digests=[file.reference.sha256], look_at=0)
    disk.put_aside(kept.folder, file.reference.sha256)
    assert await kept.read(file.reference) == b"hello"
    assert await kept.sweep(time.time()) == 1
    assert [path.name for path in list_bytes(kept)] == [file.reference.sha256]


async def test_a_file_that_goes_while_it_is_opened_is_gone(kept: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    file = await keep(kept)
    await delete(kept, file)
    pieces = await kept.open_pieces(file.reference)
    await kept.sweep(time.time())
    assert list_bytes(kept) == []
    assert b"".join([piece async for piece in pieces]) == b"hello"
    monkeypatch.setattr(Path, "exists", lambda _: True)  # it goes when somebody has seen that it is there
    with pytest.raises(FileGone):
        await kept.open_pieces(file.reference)


async def test_the_same_bytes_come_while_they_go(kept: Files) -> None:
    """At whatever moment: who was told that the file is kept can read it."""
    for _ in range(15):
        await delete(kept, await keep(kept))
        second, _ = await asyncio.gather(keep(kept), kept.sweep(time.time()))
        await kept.sweep(time.time())
        assert await kept.read(second.reference) == b"hello"
        await delete(kept, second)
        await kept.sweep(time.time())
        assert list_bytes(kept) == []


async def test_a_folder_that_goes_while_it_is_made_is_made_again(kept: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    make, left = os.mkdir, ["once"]

    def make_later(path: os.PathLike[str], *rest: int) -> None:
        if Path(path).name == "f2" and left:
            raise FileExistsError(left.pop())
        make(path, *rest)

    monkeypatch.setattr(os, "mkdir", make_later)
    assert await kept.read((await keep(kept)).reference) == b"hello"
    assert not left


async def forget(kept: Files, *, days: float = 0, keep_days: int = 0, now: Callable[[], float] = time.time) -> None:
    retention = RetentionSettings(conversations_days=keep_days)
    retention_task = RetentionTask(kept.store, retention, PublicSettings(), now=lambda: now() + days * DAY, rest=0)
    retention_task.files = kept
    await retention_task.forget()


async def test_what_was_never_sent_goes_after_a_day_and_a_programs_files_with_retention(kept: Files) -> None:
    await keep(kept, b"of a page", flow_id="talk")
    await keep(kept, b"of a program", owner=Owner("programs", "ada"))
    await forget(kept, days=0.9)
    assert len(list_bytes(kept)) == 2
    await forget(kept, days=1.1)
    assert [path.read_bytes() for path in list_bytes(kept)] == [b"of a program"]
    await forget(kept, days=400)
    assert len(list_bytes(kept)) == 1
    await forget(kept, days=31, keep_days=30)
    assert list_bytes(kept) == []


async def test_a_person_who_is_removed_takes_their_files_along(kept: Files) -> None:
    await kept.store.write(members.add, name="ada", display_name="Ada", role="member", by="tests")
    await keep(kept)
    await keep(kept, b"of their programs", owner=Owner("programs", "ada"))
    await keep(kept, b"bob's", owner=Owner("member", "bob"))
    await kept.store.write(members.remove, member="ada", by="tests")
    assert await kept.store.read(removals.list_removals)
    await forget(kept)
    assert [path.read_bytes() for path in list_bytes(kept)] == [b"bob's"]
