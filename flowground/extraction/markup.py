"""The text of HTML, as people see it: headings as in Markdown, a line a block, no scripts and no styles."""

import re
from contextlib import suppress
from html.parser import HTMLParser

from flowground.extraction.plain import decode, find_encoding

_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "head", "iframe", "object"})
_BLOCKS = re.compile(
    "address|article|aside|blockquote|br|dd|div|dl|dt|fieldset|figcaption|figure|footer|form|header|hr|li|main|nav|ol|p|"
    "pre|section|table|tr|ul|h[1-6]"
)
_BLANKS = re.compile(r"[^\S\n]+")
_FIRST_RANK = re.compile(r"^# (.+)$", re.MULTILINE)
_EMPTY_LINES = re.compile(r"\n{3,}")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset=["']?([A-Za-z0-9_-]{2,20})""", re.IGNORECASE)


class _SeenText(HTMLParser):
    def __init__(self, most_chars: int) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title = ""
        self._is_title = False
        self._left = most_chars
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        self._is_title = False  # it holds no tag; one that does was not closed
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag == "title" and self._hidden in ([], ["head"]):  # one in a drawing is none
            self._is_title, self._hidden = True, []
        self._add_break(tag, begins=True)

    def handle_endtag(self, tag: str) -> None:
        self._is_title = self._is_title and tag != "title"
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        self._add_break(tag, begins=False)

    def handle_data(self, data: str) -> None:
        if self._hidden or self._left <= 0:
            return
        self._left -= len(data)
        if self._is_title:
            self.title += data
        else:
            self.parts.append(data.replace("\n", " "))

    def _add_break(self, tag: str, *, begins: bool) -> None:
        if self._hidden:
            return
        if tag in ("td", "th"):
            self.parts.append(" ")
        elif _BLOCKS.fullmatch(tag):
            is_heading = len(tag) == 2 and tag[0] == "h" and tag[1].isdigit()
            mark = "#" * int(tag[1]) + " " if is_heading and begins else "- " if tag == "li" and begins else ""
            self.parts.append(("\n" if tag in ("li", "tr", "br", "dt", "dd") else "\n\n") + mark)


def read_html(data: bytes, name: str, *, most_chars: int) -> str:
    """What stands in the page."""
    reader = _SeenText(most_chars)
    reader.feed(_decode_page(data, name))
    reader.close()
    text = _BLANKS.sub(" ", "".join(reader.parts))
    lines = (line.strip() for line in text.split("\n"))
    seen = _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()
    return _put_title(" ".join(reader.title.split()), seen)


def _put_title(title: str, text: str) -> str:
    """The text below the page's title: a heading where the page has none of the first rank, nothing where it says that
    one again, else a line."""
    heading = _FIRST_RANK.search(text)
    if not title or (heading and _is_said(heading[1].casefold(), title.casefold())):
        return text
    return f"{'' if heading else '# '}{title}\n\n{text}"


def _is_said(heading: str, title: str) -> bool:
    """Whether these words stand in the title; letters within another word do not count."""
    return len(heading) <= len(title) and bool(re.search(rf"(?<!\w){re.escape(heading)}(?!\w)", title))


def _decode_page(data: bytes, name: str) -> str:
    """By the page's own word where that is another encoding, which is known."""
    found = _CHARSET.search(data[:4096])
    if found and (encoding := find_encoding(found[1].decode("ascii"))):
        with suppress(UnicodeError):
            return data.decode(encoding)
    return decode(data, name)
