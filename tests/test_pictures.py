"""The pictures of pages, their index and their marks name the same states; how they look is for people to say."""

import tomllib

from docs.pictures.index import FOLDER, INDEX, LOOKS, MARKS, TITLES, name_file, write_index

_MOST_BYTES = 6_500_000


def test_each_state_has_a_picture_of_each_look_and_nothing_else_lies_there() -> None:
    wanted = {name_file(state, look) for state in TITLES for look in LOOKS}
    assert len(wanted) > 100
    assert set(FOLDER.iterdir()) == wanted
    assert sum(file.stat().st_size for file in wanted) < _MOST_BYTES


def test_each_state_was_looked_at() -> None:
    marks = tomllib.loads(MARKS.read_text("utf-8"))
    assert marks.keys() == TITLES.keys()
    assert [state for state, seen in marks.items() if not (1 <= seen["mark"] <= 10 and seen["why"])] == []


def test_the_index_is_what_the_command_writes() -> None:
    """After a change of the marks, `python -m docs.pictures chat-keys` is enough."""
    assert INDEX.read_text("utf-8") == write_index()
