"""Property: no text and no values make anything but a flow or a FlowError."""

from typing import Any

import pytest
import yaml

from tests.flow_texts import mistakes

pytest.importorskip("hypothesis", reason="needs hypothesis (requirements-dev.txt)")
from hypothesis import given, settings
from hypothesis import strategies as st

WORDS = """components: name: a { } [ ] , - # ? ${A} ${ {v} ' " | > --- ... % @ 5 .nan 1e999 chat: api: overridable: <<
field: owners: id: ChatOutput A: type: Prompt template: &a *a !!x \\ \x00 \u2028 é"""
PIECES = st.sampled_from((*WORDS.split(" "), "\n", "  ", "\t", ": ", "- ", "type: "))


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=80) | st.binary(max_size=80))
def test_no_text_makes_anything_but_a_flow_or_a_flow_error(text: str | bytes) -> None:
    mistakes(text)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["${A}", "${A.x}", "{v}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["type", "display_name", "template", "input_value", "temperature", "model", "n_messages", "order", "v", "stream"]
)
TYPES = st.sampled_from(["Prompt", "ChatOutput", "LanguageModel", "MessageHistory", "ChatInput"])


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["A", "B", "a b", ""]),
        st.builds(lambda kind, fields: {"type": kind} | fields, TYPES, st.dictionaries(KEYS, VALUES, max_size=4)),
        max_size=3,
    ),
    st.dictionaries(st.sampled_from(["name", "id", "owners", "chat", "api", "x"]), VALUES, max_size=3),
)
def test_no_values_make_anything_but_a_flow_or_a_flow_error(inner: dict[str, Any], header: dict[str, Any]) -> None:
    mistakes(yaml.safe_dump(header | {"components": inner}, allow_unicode=True))
