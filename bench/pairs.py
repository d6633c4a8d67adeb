"""`python -m bench.pairs CHECKOUT`: is this code slower than another checkout of it?

Both serve at once and are loaded in turn, the order changing with each pair, so that a busy machine hits both alike.
A figure counts as slower when the whole 95 % interval of the median ratio lies above 1.03.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvloop

from bench.api import run_load
from bench.load import Figures, percentile, take_turns
from bench.processes import app, process
from tests.servers import ROOT

SLOWER = 1.03
"""Where the interval of a median ratio must lie above, to say "slower"."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.pairs", description=__doc__)
    parser.add_argument("before", type=Path, metavar="CHECKOUT", help="the code to compare with, set up alike")
    parser.add_argument("--pairs", type=int, default=30, help="loads of each (default: 30)")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of one load (default: 0.5)")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    with process("bench.stub") as (stub, _), tempfile.TemporaryDirectory() as folder:
        servers = {
            name: app(Path(folder) / name, stub=stub, database=None, checkout=checkout)
            for name, checkout in (("before", given.before.resolve()), ("after", ROOT))
        }
        try:
            tokens = {name: server.token("bench") for name, server in servers.items()}
            for server in servers.values():
                server.start()
            for title, clients, stream in (
                ("a run, 1 client", 1, False),
                ("a run, 32 clients", 32, False),
                ("a stream, 1 client", 1, True),
                ("a stream, 32 clients", 32, True),
            ):
                loads = {name: run_load(server, tokens[name], stream=stream) for name, server in servers.items()}
                found = uvloop.run(take_turns(loads, clients, count=given.pairs, seconds=given.seconds))
                print("\n".join(_rows(title, list(zip(found["before"], found["after"], strict=True)))), flush=True)
        finally:
            for server in servers.values():
                server.stop()


def _rows(title: str, pairs: Sequence[tuple[Figures, Figures]]) -> Iterator[str]:
    for figure in ("p50", "first", "cpu"):
        found = [(getattr(before, figure), getattr(after, figure)) for before, after in pairs]
        if all(before and after for before, after in found):
            ratio, low, high = median_ratio([after / before for before, after in found])
            verdict = "SLOWER" if low > SLOWER else "faster" if high < 1 else "not slower"
            before, after = (percentile([pair[side] for pair in found], 50) for side in (0, 1))
            yield (
                f"{title}, {figure}: {before:.2f} -> {after:.2f} ms, "
                f"ratio {ratio:.3f} [{low:.3f}, {high:.3f}], {verdict}"
            )


def median_ratio(ratios: Sequence[float]) -> tuple[float, float, float]:
    """The median of paired ratios and its 95 % interval, by bootstrap over the pairs."""
    chance = random.Random(1)  # the same pairs give the same interval
    medians = sorted(percentile(chance.choices(ratios, k=len(ratios)), 50) for _ in range(2_000))
    return percentile(list(ratios), 50), medians[50], medians[-51]


if __name__ == "__main__":
    main()
