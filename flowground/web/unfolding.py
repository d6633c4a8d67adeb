"""Looks how much a page's message unfolds to, before Streamlit 1.67 parses it.

A message is protobuf (BackMsg): a byte of it can become sixteen bytes of memory as a number in a list, or a hundred as
an empty part. Only the outline is read here, and no further than the bounds. tests/test_unfolding.py compares the
numbers of the fields with Streamlit's.
"""

from collections.abc import Iterator

_RERUN, _WIDGETS, _WIDGET = 11, 2, 1
"""BackMsg.rerun_script, ClientState.widget_states, WidgetStates.widgets."""
_CONTEXT = 8
"""ClientState.context_info: words only."""
_LISTS = frozenset({7, 8, 11, 13})
"""WidgetState's lists of numbers, its table and its files: our pages have sliders at most."""
_WORDS, _TYPED = 9, 15
"""WidgetState.string_array_value (what is chosen of a list), .chat_input_value."""
_TEXT = 1
"""StringArray.data, ChatInputValue.data."""
_MOST_PARTS = 20_000
"""Streamlit's frontend names up to 10,000 messages; 2,000 widgets have three parts each."""
_MOST_LISTED = 2_000
"""Bytes of lists of numbers."""
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_LONGEST_VARINT = 10

Part = tuple[int, int, int]
"""Number of a field, and where its content begins and ends; a number has none."""


class Outline:
    """Of one message.

    Raises ValueError when it is none; afterwards `too_much` says whether it unfolds to more than any page of ours says,
    and `widgets` how many widgets' values it brings.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parts = 0
        self._listed = 0
        self.widgets = 0
        self._read_message()

    @property
    def too_much(self) -> bool:
        return self._parts > _MOST_PARTS or self._listed > _MOST_LISTED

    def _read_message(self) -> None:
        for number, begin, end in self._fields(0, len(self._data)):
            if number == _RERUN:
                self._read_state(begin, end)
            else:
                self._listed += end - begin

    def _read_state(self, begin: int, end: int) -> None:
        for number, first, last in self._fields(begin, end):
            if number == _WIDGETS:
                for _, start, stop in self._fields(first, last):
                    self.widgets += 1
                    self._read_widget(start, stop)
            elif number == _CONTEXT:
                for _ in self._fields(first, last):
                    pass

    def _read_widget(self, begin: int, end: int) -> None:
        for number, first, last in self._fields(begin, end):
            if number in _LISTS:
                self._listed += last - first
            elif number in (_WORDS, _TYPED):
                for inner, start, stop in self._fields(first, last):
                    self._listed += 0 if inner == _TEXT else stop - start

    def _fields(self, begin: int, end: int) -> Iterator[Part]:
        """A message's parts; ends early once there are too many."""
        at = begin
        while at < end and not self.too_much:
            self._parts += 1
            tag, at = self._varint(at)
            kind, first, at = tag & 7, at, at
            if kind == _LENGTH:
                size, first = self._varint(at)
                at = first + size
            elif kind == _VARINT:
                _, at = self._varint(at)
                first = at
            elif kind in (_EIGHT, _FOUR):
                first = at = at + (8 if kind == _EIGHT else 4)
            else:
                raise ValueError("no such kind of field")
            if at > end:
                raise ValueError("a part ends behind its whole")
            yield tag >> 3, first, at

    def _varint(self, at: int) -> tuple[int, int]:
        """The number there, and where it ends."""
        value = 0
        for shift in range(0, 7 * _LONGEST_VARINT, 7):
            if at >= len(self._data):
                break
            byte = self._data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
        raise ValueError("a number has no end")
