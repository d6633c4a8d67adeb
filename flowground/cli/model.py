"""`model download`: fetches the built-in model before anybody waits for it."""

import asyncio
import sys

from flowground.cli.opened import Commands, load_settings
from flowground.cli.output import ProgressBar
from flowground.providers import find_own_weights
from flowground.providers.builtin import weights


def add_to(commands: Commands) -> None:
    model = commands.add_parser("model", help="the built-in model").add_subparsers(metavar="COMMAND", required=True)
    download = model.add_parser("download", help="fetch it (0.5 GB, once) and check it")
    download.set_defaults(command=lambda _: asyncio.run(_download()))


async def _download() -> None:
    """The file's path on stdout, the progress on stderr."""
    settings = load_settings()
    if own := find_own_weights(settings.providers):
        print("config.yaml names a file of its own (providers.local.path): nothing to fetch.", file=sys.stderr)
        print(own)
        return
    chosen = weights.QWEN
    print(f"{chosen.title}, {chosen.size / 1e9:.1f} GB, {chosen.licence}", file=sys.stderr)
    bar = ProgressBar()
    try:
        path = await weights.fetch(settings.data / "models", progress=bar.show)
    finally:
        bar.end()
    print(path)
