"""The process that runs the built-in model, and one sentence for each way in which it may not run."""

import asyncio
import os
import secrets
import signal
import sys
from contextlib import suppress
from pathlib import Path

from flowground.child_processes import ChildProcess
from flowground.errors import ProviderRefused, ProviderTimeout
from flowground.providers.builtin.sources import measure_file
from flowground.providers.egress import EgressSettings
from flowground.providers.openai import OpenAI

PROGRAM = (sys.executable, "-P", str(Path(__file__).with_name("local_server.py")))
"""What is started; tests start something smaller."""

CONTEXT_TOKENS = 4096
"""What one call may hold, question and answer; each of the two slots takes about 50 MB for it."""

_SLOTS = 2
_START_SECONDS = 120.0
_BESIDES_THE_FILE = 300_000_000

_OTHER = "Name another provider's model in the flow or as `default_model` in config.yaml."
_REASONS = {
    "no_wheel": (
        "The built-in model's runtime is not installed.",
        f"Run `pip install xllamacpp`; where no package fits this platform: {_OTHER}",
    ),
    "no_libgomp": (
        "The built-in model needs the system library libgomp1.",
        "Install it (Debian, Ubuntu: `apt-get install libgomp1`) and send the message again.",
    ),
    "wheel_broken": (
        "The built-in model's runtime does not fit this computer.",
        f"Run `pip install --force-reinstall xllamacpp`. If that does not help: {_OTHER}",
    ),
    "model_broken": (
        "The model file cannot be loaded: it is damaged or not a GGUF file.",
        "Send the message again: a damaged built-in file is replaced. A file that `path` names is yours to replace.",
    ),
    "no_avx2": ("This computer's processor lacks AVX2, which the built-in model needs.", _OTHER),
    "no_memory": (
        "There is not enough free memory for the built-in model: it needs about {needed:.1f} GB.",
        f"Close other programs and send the message again. Or: {_OTHER}",
    ),
    "ended": (
        "The built-in model's process ended while it started.",
        f"Send the message again. If this keeps happening: {_OTHER}",
    ),
}


class CannotStart(ProviderRefused):
    """The process does not run; `reason` is one of the words above."""

    def __init__(self, reason: str, *, needed: int = 0) -> None:
        said, hint = _REASONS.get(reason, _REASONS["ended"])
        super().__init__(said.format(needed=needed / 1e9), hint=hint)
        self.reason = reason


class Child:
    """A running process and the client that talks to it. Lives on one event loop."""

    def __init__(self, process: ChildProcess, provider: OpenAI) -> None:
        self._process = process
        self.provider = provider

    @classmethod
    async def start(
        cls, path: Path, *, name: str, piece_seconds: float, program: tuple[str, ...] | None = None
    ) -> "Child":
        """Starts the process and waits until it answers; `piece_seconds` bounds the calls to it later.

        Raises CannotStart or ProviderTimeout.
        """
        check_memory(await asyncio.to_thread(measure_file, path), await asyncio.to_thread(find_available_memory))
        key = secrets.token_urlsafe(32)
        environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
        process = await ChildProcess.start(*(program or PROGRAM), environment=environment)
        try:
            address = await _wait_for_address(process, path, key)
        except BaseException:
            await process.kill()
            raise
        # It closes a stream's connection a moment after its end, without a word: who took that one asks once more.
        client = OpenAI(
            name, f"{address}/v1", api_key=key, timeout=piece_seconds, retries=1, egress=EgressSettings(trust_env=False)
        )
        return cls(process, client)

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive

    async def has_ended(self) -> bool:
        """Whether the process is gone; gives the news a moment to arrive after a broken connection."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 1)
        return not self.is_alive

    async def close(self) -> None:
        """Ends the process, whatever it is doing."""
        await self.provider.close()
        await self._process.kill()


async def _wait_for_address(process: ChildProcess, path: Path, key: str) -> str:
    asked = {"path": str(path), "key": key, "threads": _count_threads(), "slots": _SLOTS, "context": CONTEXT_TOKENS}
    await process.send(asked)
    try:
        async with asyncio.timeout(_START_SECONDS):
            answer = await process.receive()
        if "failed" in answer:
            raise CannotStart(answer["failed"])
        return str(answer["ready"])
    except TimeoutError:
        raise ProviderTimeout(
            f"The built-in model did not start within {_START_SECONDS:g} seconds.", hint=_OTHER
        ) from None
    except EOFError:
        reason = _explain_end(await process.wait())
        raise CannotStart(reason, needed=measure_file(path) + _BESIDES_THE_FILE) from None
    except (ValueError, KeyError, TypeError):
        raise CannotStart("ended") from None


def _explain_end(code: int) -> str:
    """What an end without a word means: a signal on POSIX, a status on Windows."""
    if code in (-signal.SIGILL, 0xC000001D):
        return "no_avx2"
    if sys.platform != "win32" and code == -signal.SIGKILL:
        return "no_memory"  # the system's answer to a process that asks for more than there is
    return "ended"


def _count_threads() -> int:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores, 4)


def check_memory(size: int, available: int | None) -> None:
    """Raises CannotStart when a model file of `size` bytes cannot be held; an unknown amount is enough."""
    needed = size + _BESIDES_THE_FILE
    if available is not None and available < needed:
        raise CannotStart("no_memory", needed=needed)


def find_available_memory() -> int | None:
    """Bytes this process may still take, where Linux tells: the computer's, or its container's if that is less."""
    known = (_read_computer_memory(), _read_container_memory())
    return min((amount for amount in known if amount is not None), default=None)


def _read_computer_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None


def _read_container_memory(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    try:
        limit = int((folder / "memory.max").read_text("ascii"))
        used = int((folder / "memory.current").read_text("ascii"))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
        return limit - used + int(stat.get("inactive_file", 0))  # cached files make room
    except (OSError, ValueError):
        return None
