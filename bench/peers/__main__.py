"""`python -m bench.peers`: Flowground beside Gradio and Chainlit; prints the page and writes docs/peers.md.

Installs the two from PyPI into a temporary folder. Takes about a quarter of an hour.
"""

import argparse
import tempfile
from contextlib import nullcontext
from pathlib import Path

from bench.peers import report
from bench.peers.apps import prepare
from bench.peers.look import measure
from bench.processes import process
from tests.servers import ROOT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="messages and openings of each (default: 10)")
    parser.add_argument("--pace", type=float, default=500, help="words a second of the long answer (default: 500)")
    parser.add_argument("--installed", type=Path, help="a folder to install the two in, and to find them the next time")
    parser.add_argument("--print-only", action="store_true", help="docs/peers.md stays as it is")
    given = parser.parse_args()
    kept = nullcontext(str(given.installed)) if given.installed else tempfile.TemporaryDirectory()
    with kept as folder, process("bench.stub", str(given.pace)) as (stub, _):
        peers = prepare(Path(folder).resolve())
        found = {peer.name: measure(peer, stub, count=given.count) for peer in peers}
    text = report.write(found, {peer.name: peer.version for peer in peers}, pace=given.pace)
    print(text)
    if not given.print_only:
        (ROOT / "docs" / "peers.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
