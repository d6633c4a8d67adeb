"""Split Text: a long text, or the texts of records, as records of shorter ones."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.records import check_growth
from flowground.errors import RunError
from flowground.knowledge.split import split_text
from flowground.values import Record, ValueKind, check_length, measure

MOST_PASSAGES = 10_000
_PAUSE_CHARS = 200_000
"""A text of so many characters is cut in another thread, in a few dozen milliseconds a million."""


class SplitText(Component):
    """Passages of a text, or of each record's `text`, with the record's other values and where they `start` and `end`.

    They end at headings, paragraphs and sentences, or at `separator` where one is given.
    """

    type_name: ClassVar[str] = "SplitText"
    title: ClassVar[str] = "Split Text"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"dataframe": "records"}

    input_value: str = declare("", "Text", "What is split, where it is one text.", multiline=True)
    data_inputs: list[dict[str, Any]] | None = declare(
        None, "Records", "What is split, where it is records.", kind="records"
    )
    chunk_size: int = declare(1000, "Chunk Size", "Longest passage, in characters.", ge=10, le=100_000)
    chunk_overlap: int = declare(
        200, "Chunk Overlap", "How much of a passage's end the next repeats; half of it at most.", ge=0, le=50_000
    )
    separator: str = declare("", "Separator", "Where passages may end; headings and sentences when left out.")

    def list_mistakes(self) -> Iterator[Mistake]:
        """An overlap that is too long."""
        if self.chunk_overlap * 2 > self.chunk_size:
            yield Mistake("chunk_overlap", "`chunk_overlap` is half of `chunk_size` at most.")

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        if self.chunk_overlap * 2 > self.chunk_size:
            raise RunError("`chunk_overlap` is half of `chunk_size` at most.")
        given: list[Record] = [*([{"text": self.input_value}] if self.input_value else []), *(self.data_inputs or [])]
        passages: list[Record] = []
        size = 0
        for record in given:
            text = record.get("text")
            if not isinstance(text, str):
                raise RunError("A record that is to be split has no `text`.")
            is_long = size % _PAUSE_CHARS + len(text) > _PAUSE_CHARS
            passages += await asyncio.to_thread(self._split, record, text) if is_long else self._split(record, text)
            size += len(text)
            check_length(size)
            if len(passages) > MOST_PASSAGES:
                raise RunError(f"The text has more than {MOST_PASSAGES:,} passages: a larger `chunk_size` makes fewer.")
        return Output({"dataframe": passages})

    def _split(self, record: Record, text: str) -> list[Record]:
        cut = split_text(text, size=self.chunk_size, overlap=self.chunk_overlap, separator=self.separator or None)
        if others := {key: value for key, value in record.items() if key != "text"}:
            check_growth(measure(others) * len(cut))
        return [{**record, "text": text[one.start : one.end], "start": one.start, "end": one.end} for one in cut]
