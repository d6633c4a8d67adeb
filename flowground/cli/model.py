"""`model download`: fetches the built-in model before anybody waits for it."""

import argparse

from flowground.cli.commands import Commands, add_group
from flowground.cli.output import ProgressBar, tell
from flowground.cli.resources import load_settings
from flowground.providers import find_own_weights
from flowground.providers.builtin import weights


def add_to(commands: Commands) -> None:
    model = add_group(commands, "model", "the built-in model")
    download = model.add_parser("download", help="fetch it (0.5 GB, once) and check it")
    download.set_defaults(command=_download)


async def _download(_: argparse.Namespace) -> None:
    """The file's path on stdout, the progress on stderr."""
    settings = load_settings()
    if own := find_own_weights(settings.providers):
        tell("config.yaml names a file of its own (providers.local.path): nothing to fetch.")
        print(own)
        return
    chosen = weights.QWEN
    tell(f"{chosen.title}, {chosen.size / 1e9:.1f} GB, {chosen.licence}")
    bar = ProgressBar()
    try:
        path = await weights.fetch(settings.data / "models", progress=bar.show)
    finally:
        bar.end()
    print(path)
