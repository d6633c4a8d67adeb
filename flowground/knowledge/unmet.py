"""Filters that let no file through: what is likely mistyped in them."""

from collections.abc import Collection

from flowground.knowledge.index import IndexedFile
from flowground.knowledge.searching import Filters
from flowground.path_patterns import match_path
from flowground.words import list_names, show, suggest

_MOST_NAMED = 10


def explain_unmet(filters: Filters, files: Collection[IndexedFile]) -> str:
    """A sentence about the first filter that none of the files fits; "" where each fits one, or there are no files."""
    if not files:
        return ""
    if filters.source and not any(match_path(file.source, filters.source) for file in files):
        return f"No file is called {show(filters.source)}, which the filter `source` wants."
    for name, value in filters.keys.items():
        said = {file.keys[name] for file in files if name in file.keys}
        if not said:
            known = sorted({key for file in files for key in file.keys})
            others = f"there are {list_names(known[:_MOST_NAMED])}" if known else "there are none"
            says = f"The filter `{name}` is a key of no file{suggest(name, known)}"
            return f"{says}: keys are `name: value` lines between two `---` that begin a Markdown file; {others}."
        if value not in said:
            return f"No file has {name}: {show(value)}, which the filter wants{suggest(value, said)}."
    return ""
