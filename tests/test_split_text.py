"""SplitText: texts of a flow as shorter records."""

import asyncio
from typing import Any

import pytest

from flowground.components.records import SplitText
from flowground.core.errors import RunError
from tests.flow_texts import mistakes
from tests.heartbeat import stays_responsive


def split(**fields: Any) -> list[dict[str, Any]]:
    component = SplitText.model_validate(fields)
    return list(asyncio.run(component.run(None)).values["dataframe"])  # type: ignore[arg-type]  # it asks nothing of it


def test_a_record_keeps_its_values_in_each_passage() -> None:
    given = [{"text": "One two. Three four.", "source": "a.md"}, {"text": "Five."}]
    assert split(data_inputs=given, chunk_size=12, chunk_overlap=0) == [
        {"text": "One two.", "source": "a.md", "start": 0, "end": 8},
        {"text": "Three four.", "source": "a.md", "start": 9, "end": 20},
        {"text": "Five.", "start": 0, "end": 5},
    ]
    assert split() == []
    assert len(split(data_inputs=[{"text": "word " * 200_000, "page": "x" * 1_000}])) > 1_000


def test_a_separator_is_where_passages_end() -> None:
    parts = split(input_value="one. two--three. four", chunk_size=14, chunk_overlap=0, separator="--")
    assert [part["text"] for part in parts] == ["one. two--", "three. four"]


def test_an_overlap_that_is_too_long_is_told_at_the_file_and_at_a_run() -> None:
    it = "  It: {type: SplitText, input_value: a, chunk_size: 100}"
    text = f"components:\n{it}\n  Out: {{type: ChatOutput, input_value: a}}\n"
    assert mistakes(text) == ["talk.yaml:2:3: `chunk_overlap` is half of `chunk_size` at most."]
    with pytest.raises(RunError, match="half of"):
        split(input_value="a", chunk_size=100)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"data_inputs": [{"title": "a"}]}, "has no `text`"),
        ({"input_value": "word " * 40_000, "chunk_size": 10, "chunk_overlap": 5}, "more than 10,000 passages"),
        ({"data_inputs": [{"text": "a" * 1_600_000}] * 2, "chunk_size": 100_000}, "over 3,000,000 characters"),
        # Once in memory, the page would be written as often as there are passages.
        ({"data_inputs": [{"text": "word " * 200_000, "page": "x" * 1_000_000}]}, "over 3,000,000 bytes"),
    ],
)
def test_what_cannot_be_split_is_a_sentence(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(RunError, match=said):
        split(**fields)


@pytest.mark.parametrize("text", ["A sentence of words. " * 140_000, "# a\n" * 700_000, "a" * 2_900_000])
def test_a_long_text_keeps_nobody_waiting(text: str) -> None:
    component = SplitText.model_validate({"chunk_size": 3000, "data_inputs": [{"text": text}]})

    async def run() -> None:
        await component.run(None)  # type: ignore[arg-type]  # it asks nothing of it

    asyncio.run(stays_responsive(run))
