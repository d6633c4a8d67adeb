"""The text of files that are text: plain, Markdown, CSV and JSON, in the encodings that people's programs write."""

import codecs
import csv
import io
import json
import re

from flowground.extraction import FileUnreadable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32's before UTF-16's, whose mark it begins with."""
_ENCODINGS = re.compile(
    r"utf[-_](8|16|32)([-_](le|be|sig))?|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|tis-620|"
    r"shift_jis\w*|euc_\w+|iso2022_\w+|gb2312|gbk|gb18030|hz|big5\w*|johab|kz1048|ptcp154"
)
"""Python's names of those in which texts are written: it knows others, one of which takes minutes for a megabyte."""
_LOOKED_AT = 65_536
_CONTROLS = dict.fromkeys((*range(9), 11, *range(14, 32), 127), "�")
_CELL_CHARS = 1_000_000


def find_encoding(named: str) -> str | None:
    """Python's name of the encoding that a page or a server names; None where no text is written in it."""
    try:
        found = codecs.lookup(named).name
    except (LookupError, ValueError):
        return None
    return found if _ENCODINGS.fullmatch(found) else None


def decode(data: bytes, name: str) -> str:
    """The bytes as text with single line ends. Raises FileUnreadable for what is no text."""
    text = _decode(data)
    begin = text[:_LOOKED_AT]
    if sum(begin.count(chr(code)) for code in _CONTROLS) * 100 > len(begin):
        raise FileUnreadable(f"{name} holds no text, whatever its name says.")
    return text.translate(_CONTROLS).replace("\r\n", "\n").replace("\r", "\n")


def _decode(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    begin = data[:_LOOKED_AT]
    if begin[1::2].count(0) * 3 > len(begin):  # more than two thirds of every second byte
        return data.decode("utf-16-le", "replace")
    if begin[::2].count(0) * 3 > len(begin):
        return data.decode("utf-16-be", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start > len(data) - 4:  # cut within a character
            return data[: error.start].decode("utf-8")
    return data.decode("cp1252", "replace")


def read_csv(data: bytes, name: str, *, most_chars: int) -> str:
    """A paragraph for each row, `head: value` lines: each row says by itself what its cells mean."""
    text = decode(data, name)
    csv.field_size_limit(_CELL_CHARS)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=_find_delimiter(text))
        heads = [head.strip() for head in next(rows, [])]
        parts, size = [], 0
        for row in rows:
            cells = (cell.strip() for cell in row)
            lines = [f"{_name_column(heads, at)}: {cell}" for at, cell in enumerate(cells) if cell]
            parts.append("\n".join(lines))
            size += len(parts[-1]) + 2
            if size > most_chars:
                break
    except csv.Error as error:
        raise FileUnreadable(f"{name} cannot be read as CSV: {error}.") from None
    return "\n\n".join(part for part in parts if part) or ", ".join(heads)


def _find_delimiter(text: str) -> str:
    """What the first line has most of."""
    first = text[:_LOOKED_AT].lstrip().partition("\n")[0]
    return max(",;\t|", key=first.count)


def _name_column(heads: list[str], at: int) -> str:
    return (heads[at] if at < len(heads) else "") or f"column {at + 1}"


def read_json(data: bytes, name: str) -> str:
    """The same value, each of its parts on a line. Raises FileUnreadable with the place of a mistake."""
    text = decode(data, name)
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except json.JSONDecodeError as error:
        raise FileUnreadable(f"{name} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise FileUnreadable(f"{name} is nested too deeply to be read.") from None
    except ValueError:
        raise FileUnreadable(f"{name} holds a number that is too long to be read.") from None
