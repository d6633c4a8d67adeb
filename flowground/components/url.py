"""URL: the text of pages of the web."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.errors import RunError
from flowground.outgoing import Hosts, OutgoingAnswer, OutgoingCall, read_url
from flowground.outgoing.hosts import explain_entry
from flowground.outgoing.pages import find_document, find_title
from flowground.values import ValueKind

_MOST = 10


class URL(Component):
    """Reads pages of the web, and gives their text.

    They are records with `text`, `url`, `title` and `source`. Whoever gives `urls`, the file, a caller or the model of
    an agent: pages are read from `allowed_hosts` only. Redirects to another host are not followed.
    """

    type_name: ClassVar[str] = "URL"
    title: ClassVar[str] = "URL"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"page_results": "records"}
    calls_out: ClassVar[bool] = True
    is_tool: ClassVar[bool] = True

    urls: str = declare(
        ...,
        "URLs",
        "Addresses of pages, each on a line of its own, ten at most. What is filled into one is percent-encoded; a "
        "reference alone is the whole address.",
        multiline=True,
        url=True,
        model_may_set=True,
        max_length=20_000,
    )
    allowed_hosts: list[str] = declare(
        ...,
        "Allowed Hosts",
        "Where pages may be: `docs.example.com`, `*.example.com`, `docs.example.com:8443`, `*` for every public host.",
        fixed=True,
        min_length=1,
        max_length=100,
    )
    format: Literal["Text", "HTML"] = declare("Text", "Output Format", "HTML gives pages as they come.")
    timeout: int = declare(30, "Timeout", "Seconds; `outgoing.seconds` is the most.", ge=1, le=600)

    def list_mistakes(self) -> Iterator[Mistake]:
        """Hosts that cannot be."""
        for entry in self.allowed_hosts:
            if wrong := explain_entry(entry):
                yield Mistake("allowed_hosts", f"`{entry}` in `allowed_hosts`: {wrong}.")

    async def run(self, context: Context) -> Output:
        urls = [line.strip() for line in self.urls.splitlines() if line.strip()]
        if not 1 <= len(urls) <= _MOST:
            raise RunError(f"`urls` has {len(urls)} addresses; it takes 1 to {_MOST}.")
        hosts = Hosts(tuple(self.allowed_hosts))
        calls = (OutgoingCall("GET", url, hosts, follows=True, seconds=self.timeout) for url in urls)
        return Output({"page_results": await asyncio.gather(*(self._read_page(context, call) for call in calls))})

    async def _read_page(self, context: Context, call: OutgoingCall) -> dict[str, Any]:
        answer = await context.outside.ask(call)
        if answer.status >= 400:
            raise RunError(f"`{read_url(call.url).host}` answered with status {answer.status}.")
        text = await self._find_text(context, answer)
        return {"text": text, "url": answer.url, "title": find_title(answer), "source": answer.url}

    async def _find_text(self, context: Context, answer: OutgoingAnswer) -> str:
        ending = find_document(answer)
        if not answer.data.strip():
            return ""
        if ending and not (self.format == "HTML" and ending == ".html"):
            return (await context.outside.extract(answer.data, f"The page{ending}")).text
        if ending or answer.media_type.startswith("text/") or answer.media_type.endswith(("json", "xml")):
            return answer.text
        raise RunError(f"{answer.url[:200]} is {answer.media_type[:100]}, which has no text.")
