"""Property: whatever text and tweaks a snippet is made of, they arrive unchanged."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flowground.snippets import SnippetRequest, write_snippets
from tests.fake_run_endpoint import TOKEN, FakeRunEndpoint
from tests.snippet_runs import run_snippet

pytest.importorskip("hypothesis", reason="needs hypothesis (requirements-dev.txt)")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Lone surrogates are no text that can be typed or sent.
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text("'\"\\`$!%{}<>/«»\n\r\t @-#&;|*?~^\u2028")
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[FakeRunEndpoint]:
    with FakeRunEndpoint() as running:
        yield running


@pytest.mark.parametrize("language", ["python", "javascript", "curl"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=texts, session_id=texts.filter(bool), tweaks=st.dictionaries(texts, values, min_size=1, max_size=4))
def test_it_arrives(
    endpoint: FakeRunEndpoint, language: str, message: str, session_id: str, tweaks: dict[str, Any]
) -> None:
    request = SnippetRequest(endpoint.url, "echo", message, session_id, tweaks)
    done = run_snippet(language, write_snippets(request)[language], env={"FLOWGROUND_API_KEY": TOKEN})
    assert (done.returncode, done.stderr) == (0, "")
    expected = {"input_value": message, "session_id": session_id, "tweaks": tweaks}
    if language == "javascript":
        assert in_javascript(endpoint.bodies[-1], big=float) == in_javascript(expected, big=str)
    else:
        assert endpoint.bodies[-1] == expected


def in_javascript(value: Any, *, big: Callable[[int], float | str]) -> Any:
    """JavaScript has one kind of number; integers it cannot hold go as strings, and large floats print as integers."""
    if isinstance(value, dict):
        return {key: in_javascript(item, big=big) for key, item in value.items()}
    if isinstance(value, list):
        return [in_javascript(item, big=big) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return big(value) if abs(value) > 2**53 else float(value)
    return value
