"""Filters that let no file through: what is likely mistyped in them."""

from collections.abc import Collection

from flowground.knowledge.index import IndexedFile
from flowground.knowledge.searching import Filters, fits_source
from flowground.words import list_names, show, suggest

_MOST_NAMED = 10


def explain_unmet(filters: Filters, files: Collection[IndexedFile]) -> str:
    """A sentence about the first filter that none of the files fits; "" where each fits one, or there are no files."""
    if not files:
        return ""
    if not any(fits_source(file.source, filters) for file in files):
        return f"No file is called {_show(filters.sources)}, which the filter `source` wants."
    for name, wanted in filters.keys.items():
        said = {file.keys[name] for file in files if name in file.keys}
        if not said:
            known = sorted({key for file in files for key in file.keys})
            others = f"there are {list_names(known[:_MOST_NAMED])}" if known else "there are none"
            says = f"The filter `{name}` is a key of no file{suggest(name, known)}"
            return f"{says}: keys are `name: value` lines between two `---` that begin a Markdown file; {others}."
        if said.isdisjoint(wanted):
            nearest = next((near for value in wanted if (near := suggest(value, said))), "")
            return f"No file has {name}: {_show(wanted)}, which the filter wants{nearest}."
    return ""


def _show(wanted: Collection[str]) -> str:
    """`"a" or "b"`; of many the first."""
    return " or ".join([show(one) for one in wanted][:_MOST_NAMED])
