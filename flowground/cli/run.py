"""`run FLOW`: one message to a flow, its answer on stdout: in this process, or by the API of a running server."""

import argparse
import asyncio
import json
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, assert_never, get_args

from flowground import doors
from flowground.caller import InputType, RunRequest
from flowground.cli.opened import find_flow, load_settings
from flowground.cli.progress import ProgressBar
from flowground.cli.remote import ask_server
from flowground.doors import CommandLine
from flowground.events import (
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    Token,
    TurnFinished,
    TurnStarted,
)
from flowground.runtime import Runtime
from flowground.snippets import request_types

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_to(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser("run", help="send one message to a flow and print its answer")
    run.add_argument("flow", metavar="FLOW", help="id or endpoint name")
    run.add_argument("--message", metavar="TEXT", help="default: the flow's own input")
    run.add_argument("--session", metavar="ID", help="continue this conversation; default: a new one")
    run.add_argument(
        "--tweak",
        action="append",
        type=_tweak,
        default=[],
        metavar="COMPONENT.FIELD=VALUE",
        help="""change a field for this run; `:=` takes JSON, as in 'Model.stop:=["END"]'""",
    )
    run.add_argument("--stream", action="store_true", help="print the answer as it comes")
    run.add_argument(
        "--input-type",
        choices=get_args(InputType),
        help="which inputs get the message; default: by the flow; any with --server",
    )
    run.add_argument("--server", metavar="URL", help="ask this server, with the token in FLOWGROUND_API_KEY")
    run.set_defaults(command=run_command)


def run_command(given: argparse.Namespace) -> int:
    """Prints the answer's text, and nothing else, to stdout."""
    if given.server:
        with closing(ask_server(given.server, given.flow, _request(given, "any"))) as pieces:
            for piece in pieces:
                print(piece, end="", flush=True)
    else:
        asyncio.run(_run_here(given))
    return 0


async def _run_here(given: argparse.Namespace) -> None:
    runtime = await asyncio.to_thread(Runtime, load_settings())
    screen = _Screen()
    try:
        await runtime.start()
        wired = find_flow(runtime.catalogue, given.flow)
        request = _request(given, request_types(wired)[0])
        answer = await doors.answer(runtime, CommandLine(), address=wired.id, ask=request)
        async with aclosing(answer.events()) as events:
            async for event in events:
                screen.show(event)
    finally:
        screen.bar.end()
        await runtime.close()


class _Screen:
    """Of several answers, the first to begin is printed as it comes, the others when all is said."""

    def __init__(self) -> None:
        self.bar = ProgressBar()
        self._printed: str | None = None

    def show(self, event: Event) -> None:
        match event:
            case Token():
                self.bar.end()
                self._printed = self._printed or event.component_id
                if event.component_id == self._printed:
                    print(event.text, end="", flush=True)
            case ModelProgress():
                self.bar.show(event.received, event.total)
            case TurnFinished():
                if self._printed:
                    print()
                for output in event.outputs:
                    if output.component_id != self._printed:
                        print(output.text)
            case TurnStarted() | ComponentStarted() | ComponentFinished():
                pass
            case _:
                assert_never(event)


def _request(given: argparse.Namespace, input_type: InputType) -> RunRequest:
    tweaks: dict[str, Any] = {}
    for component, field, value in given.tweak:
        if component:
            tweaks.setdefault(component, {})[field] = value
        else:
            tweaks[field] = value
    return RunRequest(
        input_value=given.message,
        input_type=given.input_type or input_type,
        tweaks=tweaks,
        session_id=given.session,
        stream=given.stream,
    )


def _tweak(text: str) -> tuple[str, str, Any]:
    """`Component.field=text` or `Component.field:=JSON` -> component ("" for every component), field, value."""
    place, equals, value = text.partition("=")
    component, _, field = place.removesuffix(":").rpartition(".")
    if not equals or not field:
        raise argparse.ArgumentTypeError(f"{text!r} does not look like Component.field=value")
    if not place.endswith(":"):
        return component, field, value
    try:
        return component, field, json.loads(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{value!r} after := is no JSON") from None
