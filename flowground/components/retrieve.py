"""Retrieve: the passages of a knowledge that a question is about."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.values import Record, ValueKind


class Retrieve(Component):
    """Looks a question up in files, and gives the passages that fit it best.

    They are records, the best first, with `number`, `text`, `source`, `start`, `end` and `score`, which is from 0 to 1;
    where there are some, with `page`, `title` (the headings above, else the key `title`) and `keys` of the file. An
    answer cites a passage by its number, `[1]`. `${id.passages}` is the same as text: each passage below its number and
    place.

    `knowledge:` of the flow file, or of config.yaml, says of which files. Without a question nothing is found.
    `filters: {client: Acme, source: "**/*.md"}` takes passages of those files alone that say `client: Acme` between two
    lines of `---` at their beginning, which only Markdown files can.
    """

    type_name: ClassVar[str] = "Retrieve"
    title: ClassVar[str] = "Retrieve"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"search_results": "records", "passages": "text"}
    calls_out: ClassVar[bool] = True
    is_tool: ClassVar[bool] = True
    tool_port: ClassVar[str | None] = "passages"
    needs_as_tool: ClassVar[Collection[str]] = ("search_query",)

    search_query: str = declare("", "Search Query", "What is looked for.", multiline=True, model_may_set=True)
    knowledge: str = declare(..., "Knowledge", "A name under `knowledge:`.", fixed=True, max_length=100)
    top_k: int = declare(4, "Number of Results", "How many passages at most.", ge=1, le=50)
    threshold: float = declare(0, "Score Threshold", "The least score of a passage.", ge=0, le=1)
    filters: dict[str, Any] | None = declare(
        None,
        "Filters",
        "Of these files only: `source`, a pattern such as `**/*.pdf`; `page`, one or the first and the last, such as "
        "`[3, 5]`, of PDFs; all else is a key of Markdown files and its value, such as `client: Acme`.",
        kind="data",
        protected=True,
    )

    def list_mistakes(self) -> Iterator[Mistake]:
        """A knowledge without a name."""
        if not self.knowledge:
            yield Mistake("knowledge", "`knowledge` is a name under `knowledge:`.")

    async def run(self, context: Context) -> Output:
        if not self.search_query.strip():
            return Output({"search_results": [], "passages": ""})
        found = await context.look_up(
            self.knowledge,
            self.search_query,
            top_k=self.top_k,
            threshold=self.threshold,
            filters=self.filters or {},
        )
        passages = "\n\n".join(f"{write_head(record)}\n{record['text']}" for record in found.records)
        return Output({"search_results": found.records, "passages": passages}, note=found.note)


def write_head(record: Record) -> str:
    """`[1] knowledge/handbook.pdf, page 3: Leave`."""
    page = f", page {record['page']}" if "page" in record else ""
    title = f": {record['title']}" if "title" in record else ""
    return f"[{record['number']}] {record['source']}{page}{title}"
