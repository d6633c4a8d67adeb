"""`python -m bench.peers`: the API beside Hayhooks' in one run; prints the page and writes docs/peers.md.

Hayhooks is installed from PyPI into a temporary folder, or into the one that `--installed` names.
"""

import argparse
import json
import subprocess
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench.api import answered, floor_loads, run_load
from bench.load import Figures, Load, percentile, post, take_turns
from bench.processes import app, process, serve
from bench.report import describe_machine, write_loads
from tests.servers import ROOT, free_port

_VERSION = "2.1.0"
_CLIENTS = (1, 32)
_WRAPPER = """\
from pathlib import Path

from hayhooks import BasePipelineWrapper, async_streaming_generator, get_last_user_message
from haystack import Pipeline


class PipelineWrapper(BasePipelineWrapper):
    def setup(self):
        self.pipeline = Pipeline.loads(Path("PIPELINE").read_text())

    async def run_chat_completion_async(self, model, messages, body):
        asked = {"prompt": {"question": get_last_user_message(messages)}}
        return async_streaming_generator(self.pipeline, pipeline_run_args=asked)
"""
"""What Hayhooks needs in Python for streams of the same pipeline."""
_PAGE = """\
# Beside Hayhooks

Written by `python -m bench.peers`. Each program serves one flow, a prompt and a stub of a model. Hayhooks {version}
keeps nothing; Flowground checks a token, and keeps the message, the answer and the run on SQLite. The floor is a bare
Starlette route that makes the same call. All are loaded in turn, {rounds} times {seconds:g} s; medians. Times in ms;
CPU is the server's own, a request; the ratio is p50 over the floor's.

Machine: {machine}. {date}.

Whole answers: `POST /api/v1/run/bench` and Hayhooks' `POST /chat/run`.

{plain}

Streams: `?stream=true` and Hayhooks' `POST /v1/chat/completions`, whose pipeline a wrapper streams.

{stream}

Memory (PSS) after all loads: Flowground {ours:.0f} MB, Hayhooks {theirs:.0f} MB.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="length of one load (default: 2)")
    parser.add_argument("--installed", type=Path, help="a folder to install Hayhooks in, and to find it the next time")
    parser.add_argument("--print-only", action="store_true", help="docs/peers.md stays as it is")
    given = parser.parse_args()
    kept = nullcontext(str(given.installed)) if given.installed else tempfile.TemporaryDirectory()
    with kept as installed, tempfile.TemporaryDirectory() as folder:
        programs = install(Path(installed).resolve())
        text = measure(programs, Path(folder), rounds=given.rounds, seconds=given.seconds)
    print(text)
    if not given.print_only:
        (ROOT / "docs" / "peers.md").write_text(text, encoding="utf-8")


def install(folder: Path) -> Path:
    """The folder of Hayhooks' programs."""
    if not (folder / "bin" / "hayhooks").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "-q", f"hayhooks=={_VERSION}"], check=True)
    return folder / "bin"


def measure(programs: Path, folder: Path, *, rounds: int, seconds: float) -> str:
    """The page."""
    with (
        process("bench.stub") as (stub, _),
        process("bench.floor", f"{stub}/v1") as (floor, floor_watch),
        app(folder / "flowground", stub=stub, database=None) as server,
        serve_hayhooks(programs, folder / "hayhooks", stub) as (whole, streamed),
    ):
        token, (floor_whole, floor_streamed) = server.token("peers"), floor_loads(floor, floor_watch)
        plain = {"floor": floor_whole, "Flowground": run_load(server, token), "Hayhooks": whole}
        stream = {"floor": floor_streamed, "Flowground": run_load(server, token, stream=True), "Hayhooks": streamed}
        tables = [uvloop.run(_measure(loads, rounds=rounds, seconds=seconds)) for loads in (plain, stream)]
        ours, theirs = (loads.watch.memory() if loads.watch else 0 for loads in (plain["Flowground"], whole))
    return _PAGE.format(
        version=_VERSION,
        rounds=rounds,
        seconds=seconds,
        machine=describe_machine(),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        plain=tables[0],
        stream=tables[1],
        ours=ours,
        theirs=theirs,
    )


@contextmanager
def serve_hayhooks(programs: Path, folder: Path, stub: str) -> Iterator[tuple[Load, Load]]:
    """Loads of whole answers and of streams."""
    (folder / "stream").mkdir(parents=True)
    pipeline = folder / "chat.yml"
    pipeline.write_text((ROOT / "bench" / "hayhooks.yml").read_text("utf-8").replace("STUB/", f"{stub}/"), "utf-8")
    (folder / "stream" / "pipeline_wrapper.py").write_text(_WRAPPER.replace("PIPELINE", str(pipeline)), "utf-8")
    port = free_port()
    command = [str(programs / "hayhooks"), "run", "--port", str(port), "--pipelines-dir", str(folder)]
    told = {"STUB_KEY": "anything", "LOG": "WARNING", "HAYSTACK_TELEMETRY_ENABLED": "False"}
    told["HAYHOOKS_STARTUP_DEPLOY_STRATEGY"] = "sequential"  # in parallel its imports may get in each other's way
    with serve([*command, "--without-monitoring", "--without-tracing"], port, folder=folder, **told) as watch:
        whole, chat = f"http://127.0.0.1:{port}/chat/run", f"http://127.0.0.1:{port}/v1/chat/completions"
        question = "Tell me about something interesting."
        said = [{"role": "user", "content": question}]
        yield (
            Load(whole, post(whole, json.dumps({"question": question}).encode()), watch=watch),
            Load(
                chat,
                post(chat, json.dumps({"model": "stream", "stream": True, "messages": said}).encode()),
                mark=b'"Here"',
                watch=watch,
            ),
        )


async def _measure(loads: Mapping[str, Load], *, rounds: int, seconds: float) -> str:
    """A table, after each has been asked for a while by one client."""
    for load in loads.values():
        await answered(load)
        await load.warm_up(seconds=min(3, 2 * seconds))
    found: dict[str, dict[int, Figures]] = {name: {} for name in loads}
    for clients in _CLIENTS:
        for name, figures in (await take_turns(loads, clients, count=rounds, seconds=seconds)).items():
            found[name][clients] = _take_medians(figures)
    return "\n".join(write_loads(found, floor=found["floor"]))


def _take_medians(rounds: Sequence[Figures]) -> Figures:
    columns = {name: [asdict(one)[name] for one in rounds] for name in asdict(rounds[0])}
    medians = {name: None if None in values else percentile(values, 50) for name, values in columns.items()}
    return Figures(**medians | {"errors": sum(columns["errors"])})


if __name__ == "__main__":
    main()
