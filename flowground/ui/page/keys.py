"""Keys of components: Streamlit draws none whose key has `__`, which ids of flows and links may have."""

import re

_DOUBLE = re.compile(r"_(?=_|$)")


def make_key(name: str) -> str:
    """The name itself, unless Streamlit would take a part of it for the end."""
    return _DOUBLE.sub("_~", name)
