"""Web Search: pages of the web that a question is about."""

from collections.abc import Collection, Mapping
from typing import ClassVar

from flowground.components.base import Component, Context, Output, declare
from flowground.values import ValueKind


class WebSearch(Component):
    """Searches the web, and gives the pages that fit best.

    They are records with `text`, `title`, `url` and `source`. `search:` of config.yaml says which engine is asked; it
    is told the query. Without a query nothing is found.
    """

    type_name: ClassVar[str] = "WebSearch"
    title: ClassVar[str] = "Web Search"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"results": "records"}
    calls_out: ClassVar[bool] = True
    is_tool: ClassVar[bool] = True
    needs_as_tool: ClassVar[Collection[str]] = ("query",)

    query: str = declare("", "Search Query", "What is looked for.", max_length=4_000, model_may_set=True)
    max_results: int = declare(5, "Max Results", "How many pages at most.", ge=1, le=20)

    async def run(self, context: Context) -> Output:
        return Output({"results": await context.outside.search(self.query, self.max_results)})
