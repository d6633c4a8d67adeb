"""Long lists on a page: a field to search in them, and one page of them at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import streamlit as st

PAGE = 25
_SEARCHED_CHARS = 100


class Counted(Protocol):
    """A page of a list that knows how many there are on all."""

    @property
    def count(self) -> int: ...


T = TypeVar("T")
C = TypeVar("C", bound=Counted)


@dataclass(frozen=True, slots=True)
class ListPage(Generic[T]):
    """`shown` of `count` entries."""

    shown: Sequence[T]
    count: int


NamedPage = ListPage[tuple[str, str]]
"""Ids, and how they are called."""


def draw_search(name: str, label: str, *, width: int | Literal["stretch"] = 260) -> str:
    """What somebody looks for in the list of this name; the session has it under `NAME:search`."""
    searched = st.text_input(
        label,
        key=f"{name}:search",
        type="search",
        placeholder=label,
        label_visibility="collapsed",
        icon=":material/search:",
        max_chars=_SEARCHED_CHARS,
        live=True,
        width=width,
    )
    return (searched or "")[:_SEARCHED_CHARS].strip()


def draw_list(
    name: str,
    label: str,
    find: Callable[[str, int], ListPage[T]],
    draw: Callable[[Sequence[T]], None],
    *,
    empty: str = "",
    size: int = PAGE,
) -> None:
    """A list of the session's `name`, a page at a time, with a field to search in it where it is longer than a page.

    `find` is given what is searched and how many entries stand before the page. `empty` is said of no entries.
    """
    searched = str(st.session_state.get(f"{name}:search") or "")[:_SEARCHED_CHARS].strip()
    page, number = find_in_pages(name, searched, lambda offset: find(searched, offset), size=size)
    if searched or page.count > size:
        draw_search(name, label)
    says = "No results." if searched else empty
    if says and not page.count:
        st.caption(says)
    draw(page.shown)
    draw_pages(name, searched, page.count, number, size=size)


def find_in_pages(name: str, searched: str, find: Callable[[int], C], *, size: int = PAGE) -> tuple[C, int]:
    """The page that is shown, and its number. `find` is given how many entries stand before it.

    A list that became shorter than the page that was shown begins again.
    """
    number = int(st.session_state.get(_make_key(name, searched), 1))
    found = find((number - 1) * size)
    if number > 1 and found.count <= (number - 1) * size:
        return find(0), 1
    return found, number


def draw_pages(name: str, searched: str, count: int, number: int, *, size: int = PAGE) -> None:
    """The way to the other pages, where there are some."""
    pages = -(-count // size)
    if pages > 1:
        st.caption(f"{(number - 1) * size + 1:,} to {min(count, number * size):,} of {count:,}")
        st.pagination(pages, key=_make_key(name, searched))


def _make_key(name: str, searched: str) -> str:
    """Of its own for each search, so that each begins at its first page."""
    return f"{name}:page:{searched}"
