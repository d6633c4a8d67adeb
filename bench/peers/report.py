"""The figures as a page: docs/peers.md."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from bench.peers.look import Seen
from bench.report import describe_machine

_ROWS: Mapping[str, tuple[str, str, float]] = {
    "first_text": ("Enter → first text on screen", "{:.0f} ms", 1),
    "cold": ("page usable, nothing kept by the browser", "{:,.0f} ms", 1),
    "warm": ("page usable, everything kept", "{:,.0f} ms", 1),
    "first_kb": ("first load over the wire", "{:,.0f} kB", 1),
    "opened": ("a chat of 300 messages, opened", "{:,.0f} ms", 1),
    "key": ("a letter typed in it, median", "{:.0f} ms", 1),
    "slowest_key": ("the slowest letter", "{:.0f} ms", 1),
    "size": ("10,000-token answer: bytes over the wire", "{:.1f} × its size", 1),
    "frame": ("its frames, p95", "{:.0f} ms", 1),
    "slowest_frame": ("its slowest frame", "{:,.0f} ms", 1),
    "longest_task": ("its longest task", "{:,.0f} ms", 1),
    "cpu": ("main thread's CPU for it", "{:.1f} s", 1),
    "finished": ("until it is whole", "{:.1f} s", 1000),
}
"""By field of `Seen`: what is said of it, how, and what it is divided by."""
_HEAD = """\
Written by `python -m bench.peers`; nothing here is edited by hand. Three chats that do the same, each the least its
library asks for (`bench/peers/`), stream from one stub of a model over OpenAI's wire and are looked at by one Chromium,
one after the other. A short answer has twelve words and comes at once; the long one has 10,000 words, {pace:.0f} a
second. *On screen* is the end of the first frame with the text. Bytes are counted on the connection. Flowground keeps
every message in its database. The others keep none: Gradio's page is made with the 300 messages, Chainlit sends them
when the page connects. Who has not shown the long answer after 120 s is stopped there; its bytes are compared with what
it has shown by then.
"""
_MOST_MS, _MOST_SHARE = 40, 0.6


def write(found: Mapping[str, Seen], versions: Mapping[str, str], *, pace: float) -> str:
    """The whole Markdown text; Flowground comes first."""
    return "\n".join(_list_lines(found, versions, pace)) + "\n"


def _list_lines(found: Mapping[str, Seen], versions: Mapping[str, str], pace: float) -> Iterator[str]:
    yield "# Beside Gradio and Chainlit"
    yield ""
    yield _HEAD.format(pace=pace)
    yield f"Machine: {describe_machine()}. {datetime.now(UTC):%Y-%m-%d}."
    yield ""
    yield "| | " + " | ".join(f"{name}, {versions[name]}" for name in found) + " |"
    yield "| --- |" + " ---: |" * len(found)
    for field, (title, form, divisor) in _ROWS.items():
        yield f"| {title} | " + " | ".join(_write_figure(one, field, form, divisor) for one in found.values()) + " |"
    yield ""
    yield "## Marks"
    yield ""
    yield "| | mark | measured | met |"
    yield "| --- | ---: | ---: | --- |"
    ours, *others = found.values()
    share = ours.first_text / min(one.first_text for one in others)
    yield _write_mark("Enter → first text", f"{_MOST_MS} ms", f"{ours.first_text:.0f} ms", ours.first_text <= _MOST_MS)
    yield _write_mark("… beside the faster of the two", f"{_MOST_SHARE} ×", f"{share:.2f} ×", share <= _MOST_SHARE)


def _write_figure(seen: Seen, field: str, form: str, divisor: float) -> str:
    value = getattr(seen, field)
    if value is not None:
        return form.format(value / divisor)
    return f"not within 120 s: {seen.shown:.0%} shown" if field == "finished" else "–"


def _write_mark(what: str, mark: str, measured: str, is_met: bool) -> str:
    return f"| {what} | at most {mark} | {measured} | {'yes' if is_met else 'no'} |"
