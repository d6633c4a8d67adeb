"""A page run in this process by AppTest, and its elements found by what they are, never by their place."""

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from streamlit.testing.v1 import AppTest

from tests.servers import ROOT

E = TypeVar("E")


def open_script(page: str = "", *, script: str = "pages/router.py", **query: str) -> AppTest:
    """The home page, or another that its navigation lists."""
    at = AppTest.from_file(str(ROOT / script), default_timeout=60).run()
    assert not at.exception
    return go(at, page, script=script, **query) if page else at


def go(at: AppTest, page: str, *, script: str = "pages/router.py", **query: str) -> AppTest:
    """To another page, in the same visit."""
    at.switch_page(f"{page}.py" if script.endswith("router.py") else f"pages/{page}.py")
    for name in list(at.query_params):
        del at.query_params[name]
    for name, value in query.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def only(elements: Iterable[E]) -> E:
    """The one there is."""
    found = list(elements)
    assert len(found) == 1, f"{len(found)} elements instead of one: {found}"
    return found[0]


def find_by_key(elements: Iterable[Any], begin: str, end: str = "") -> Any:
    """The one whose key begins, and ends, like this."""
    keys = [(str(element.key or ""), element) for element in elements]
    return only(element for key, element in keys if key.startswith(begin) and key.endswith(end))


def find_by_label(elements: Iterable[Any], label: str) -> Any:
    """The one with this label."""
    return only(element for element in elements if element.label == label)


def press(at: AppTest, begin: str, end: str = "") -> AppTest:
    """The button whose key begins, and ends, like this."""
    find_by_key(at.button, begin, end).click().run()
    assert not at.exception
    return at


def read_chat(at: AppTest) -> dict[str, Any]:
    """What the page tells the component of its conversation."""
    [data] = json.loads(find_by_key(at.get("bidi_component"), "chat:").proto.json)
    return dict(data)


def read(at: AppTest) -> str:
    """All that stands on the page, a line each."""
    kinds = (at.title, at.header, at.subheader, at.markdown, at.caption, at.text, at.error, at.warning, at.code)
    told = [element.proto.json for element in at.get("bidi_component")]
    return "\n".join([*(element.value for kind in kinds for element in kind), *told])
