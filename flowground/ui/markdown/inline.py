"""The inside of one paragraph, heading or table cell of a model's Markdown: what must not work becomes letters.

A backslash before punctuation never changes what is seen outside code, so in doubt it is added.
"""

import html
import re
from bisect import bisect_left

_PUNCTUATION = r"[!-/:-@\[-`{-~]"
_NAME = r"[^\n\r\f\v !-*,./:-@\[-^`{-~]"
"""What the name of a directive or an emoji is made of, and more."""
_TOKEN = re.compile(
    rf"(?P<escape>\\{_PUNCTUATION})"
    r"|(?P<web>(?:https?://(?=[^\s!-/:-@\[-`{-~])|www\.)[^\s<`\\\[\]]*+)"
    r"|(?P<ticks>`++)"
    r"|(?P<dollars>\$++)"
    r"|(?P<image>!++\[?+)"
    r"|(?P<open>\[)"
    r"|(?P<close>\])"
    r"|(?P<html><(?=[A-Za-z/!?]))"
    rf"|(?P<colons>:{{2,}}+|:(?!-++:)(?=(?:material/)?+{_NAME}++[:\[{{]))",
    re.IGNORECASE,
)
_TICKS = re.compile(r"`+")
NOTABLE = re.compile(rf"!\[|\$|\]\(|\]:|<[A-Za-z/!?]|::|:(?={_NAME}++[:\[{{])")
"""A text in which this is not found stays as it is."""
_NAMED = re.compile(_NAME)
BEGINS_BLOCK = re.compile(
    rf"<(?=[A-Za-z/!?])(?!(?:https?|mailto):)|:{{2,}}+(?={_NAME})|\${{2,}}+[^$\n]*+$", re.IGNORECASE
)
"""Raw HTML, directives and formulas of whole lines: they end a paragraph, and code that goes over its lines."""
_FORMULA_GAP = re.compile(r"(?<=!)(?=\[)|(?<=\])(?=[(\[:])|(?<=<)(?=[A-Za-z/!?])")
_WEB = re.compile(r"https?://|www\.", re.IGNORECASE)
_CALM = re.compile(r"[^\s<`\\\[\]$!:]*+(?:\s|$)")
"""Letters up to a blank in which nothing is special."""
_SPECIAL = re.compile(rf"[$!]|::|:(?={_NAME}++[:{{])")
_MATH = re.compile(r"\$\$(?!\$)[^$`]++\$\$(?!\$)")
_AUTOLINK = re.compile(
    r"<(?:(?:https?|mailto):[^\s<>`\[\]\x00-\x1f\x7f]*+|[\w.+-]++@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++)>", re.I | re.A
)
_TARGET = rf"(?:<(?P<pointed>(?:[^<>\[\]\\`\n]|\\{_PUNCTUATION})*+)>|(?P<bare>(?:[^\s()<>\[\]\\`\x00-\x1f\x7f]"
_TARGET += rf"|\\{_PUNCTUATION}|\((?:[^\s()<>\[\]\\`\x00-\x1f\x7f]|\\{_PUNCTUATION})*+\))++))"
_TITLE = r"""(?:"[^"\\`\[\]<]*+"|'[^'\\`\[\]<]*+')"""
_TAIL = re.compile(
    rf"\([ \t]*+\n?[ \t]*+(?:{_TARGET}(?:(?:[ \t]++\n?[ \t]*+|\n[ \t]*+){_TITLE})?+)?+[ \t]*+\n?[ \t]*+\)"
)
_DEFINITION = re.compile(
    rf"\[(?!\^)[^\[\]\\`\n]*[^\s\[\]\\`][^\[\]\\`\n]*\]:[ \t]*+{_TARGET}(?:[ \t]++{_TITLE})?+[ \t]*+$"
)
_LABEL = re.compile(r"\[(?:[^\[\]\\]|\\.)*+\]:", re.DOTALL)
_LONE_DOLLAR = re.compile(rf"(\\{_PUNCTUATION})|\$")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*+):", re.I)
_SCHEMES = ("http", "https", "mailto")
_FRONT = " `\n([*|>\"'"
"""Characters after which an image's `!` may be dropped."""
_LONGEST = 200
"""Characters of a destination that is shown as letters: an embedded picture is a wall of them."""


def rewrite(text: str, *, is_paragraph: bool = False) -> str:
    """The text of one block, without its containers' marks; as many lines as before.

    `is_paragraph`: it may be, or begin with, link reference definitions.
    """
    if is_paragraph and text.startswith("["):
        if is_definitions(text):
            return _escape_dollars(text)
        if _LABEL.match(text):
            text = "\\" + text
    return _Inline(text).rewrite()


def is_definitions(text: str) -> bool:
    """Whether all lines are link reference definitions that may stay."""
    lines = text.split("\n")
    return all(_is_allowed(_DEFINITION.match(line)) for line in lines)


def rewrite_formula(text: str) -> str:
    """The same formula: blanks change none, and who takes it for text finds no image and no link in it."""
    return _FORMULA_GAP.sub(" ", text)


class _Inline:
    def __init__(self, text: str) -> None:
        self._text = text
        self._done: list[str] = []
        self._brackets: list[int | None] = []
        """For each open bracket, the place in `_done` of the image mark before it."""
        self._runs: dict[int, list[int]] | None = None

    def rewrite(self) -> str:
        text, done, at = self._text, self._done, 0
        while found := _TOKEN.search(text, at):
            start = found.start()
            done.append(text[at:start])
            kind = found.lastgroup
            if kind == "escape" or kind == "open":
                at = found.end()
                done.append(found[0])
                if kind == "open":
                    self._brackets.append(None)
            elif kind == "ticks":
                at = self._take_code(start, found.end())
            elif kind == "dollars":
                at = self._take_math(start, found.end())
            elif kind == "image":
                at = self._take_image(start, found.end())
            elif kind == "close":
                at = self._close_bracket(start)
            elif kind == "html":
                at = self._take_html(start)
            elif kind == "web":
                at = self._take_web(found)
            else:
                at = found.end()
                is_name = at - start == 1 or _NAMED.match(text, at)
                done.append("\\:" * (at - start) if is_name else found[0])
        done.append(text[at:])
        return "".join(done)

    def _take_code(self, start: int, end: int) -> int:
        """A span to the next run of as many backticks; without one the run is letters."""
        if self._runs is None:
            self._runs = {}
            for found in _TICKS.finditer(self._text):
                self._runs.setdefault(found.end() - found.start(), []).append(found.start())
        closing = self._runs.get(end - start, [])
        place = bisect_left(closing, end)
        if place < len(closing):
            end = closing[place] + end - start
        self._done.append(self._text[start:end])
        return end

    def _take_math(self, start: int, end: int) -> int:
        """`$$…$$` stays a formula; any other dollar is money. At a line's begin it must end on the same line."""
        found = _MATH.match(self._text, start)
        if found is None or ("\n" in found[0] and not self._text[self._text.rfind("\n", 0, start) + 1 : start].strip()):
            self._done.append("\\$" * (end - start))
            return end
        self._done.append(rewrite_formula(found[0]))
        return found.end()

    def _take_image(self, start: int, end: int) -> int:
        """The mark goes where the image becomes a link, see `_close_bracket`; else it is a letter."""
        if self._text[end - 1] != "[":
            self._done.append(self._text[start:end])
            return end
        self._done.append("\\!" * (end - start - 1))
        before = self._text[start - 1] if start else " "
        self._brackets.append(len(self._done) - 1 if end - start == 2 and before in _FRONT else None)
        self._done.append("[")
        return end

    def _close_bracket(self, start: int) -> int:
        end = start + 1
        is_open, mark = bool(self._brackets), self._brackets.pop() if self._brackets else None
        after = self._text[end : end + 1]
        found = _TAIL.match(self._text, end) if is_open and after == "(" else None
        tail = self._write_tail(found) if found and _is_allowed(found) else None
        if mark is not None and (tail or after == "["):
            self._done[mark] = ""
        self._done.append("]")
        if found and tail:
            self._done.append(tail)
            return found.end()
        if after != "(" or (not is_open and _is_allowed(_TAIL.match(self._text, end))):
            return end
        self._done.append("\\(")
        return self._cut(found, end + 1)

    def _write_tail(self, found: re.Match[str]) -> str | None:
        """A link's destination and title, so that they end there also for a reader who sees no link here.

        Inside a link there is none. What is then seen in the address would go on to the next blank.
        """
        tail = _escape_dollars(found[0])
        bare = found["bare"]
        if bare is None or not _WEB.search(bare) or _CALM.match(self._text, found.end()):
            return tail
        return (
            tail.replace(_escape_dollars(bare), f"<{_escape_dollars(bare)}>", 1)
            if re.match("https?://", bare, re.I)
            else None
        )

    def _cut(self, tail: re.Match[str] | None, end: int) -> int:
        """Takes the middle out of a destination that is no link and longer than a person reads."""
        if tail is None or tail["bare"] is None or len(tail["bare"]) <= _LONGEST:
            return end
        self._done.append(re.sub(f"({_PUNCTUATION})", r"\\\1", tail["bare"][:40]) + "…")
        return tail.end("bare")

    def _take_web(self, found: re.Match[str]) -> int:
        """An address becomes a link by itself. Where letters follow that readers may count to it, its end is marked."""
        text, start, end = self._text, found.start(), found.end()
        if self._brackets:  # it is the text of a link
            end = start + found[0].index("." if found[0][0] in "wW" else "/") + 1
        elif text[end : end + 1] in ("`", "\\", "<", "[", "]") or _SPECIAL.search(found[0]):
            address = found[0].partition(">")[0].rstrip("?!.,:;*_~'\")")
            end = start + len(address)
            shield = "\\" if self._done[-1].endswith("\\") else ""  # a backslash before, which was a letter
            self._done.append(f"{shield}<{'http://' * (address[0] in 'wW')}{address}>")
            return end
        self._done.append(text[start:end])
        return end

    def _take_html(self, start: int) -> int:
        found = _AUTOLINK.match(self._text, start)
        self._done.append(found[0] if found else "\\<")
        return found.end() if found else start + 1


def _is_allowed(found: re.Match[str] | None) -> bool:
    """Whether the destination is an address of the web or of mail, or one without a scheme."""
    if found is None:
        return False
    spelt = re.sub(rf"\\({_PUNCTUATION})", r"\1", found["pointed"] or found["bare"] or "")
    scheme = _SCHEME.match(re.sub(r"[\x00-\x20\x7f]", "", html.unescape(spelt)))
    return scheme is None or scheme[1].lower() in _SCHEMES


def _escape_dollars(text: str) -> str:
    return _LONE_DOLLAR.sub(lambda found: found[1] or "\\$", text)
