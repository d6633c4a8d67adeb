"""The process that builds an index, so that runs do not wait for it.

It is started as a file, lowers its own priority, and ends when stdin closes. It reads one `BuildJob` as a line of JSON
on stdin, and writes lines `{"done": …, "total": …}` on stdout, at last `{"report": …}` or `{"failed": sentence}`.
"""

import asyncio
import json
import os
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from flowground.knowledge.building import BuildJob, build

_NICE = 10


def serve() -> None:
    """Builds the one index."""
    job = msgspec.convert(json.loads(sys.stdin.readline()), BuildJob)  # paths may have bytes that msgspec refuses
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(AttributeError, OSError):
        os.nice(_NICE)
    try:
        report = asyncio.run(build(job, lambda done, total: _write_line({"done": done, "total": total})))
    except Exception as error:  # noqa: BLE001 - the caller gets a sentence, whatever failed
        _write_line({"failed": f"{type(error).__name__}: {error}"})
    else:
        _write_line({"report": asdict(report)})


def _write_line(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    serve()
