"""Components of frontend/src, and keys: Streamlit draws none whose key has `__`, which ids of flows and links have."""

import re

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from flowground.assets import find_asset

_DOUBLE = re.compile(r"_(?=_|$)")


def make_key(name: str) -> str:
    """The name itself, unless Streamlit would take a part of it for the end."""
    return _DOUBLE.sub("_~", name)


def make_component(name: str) -> ComponentRenderer:
    """The one whose code is in frontend/src/NAME.js, with the page's own styles."""
    js = f"""
const code = import(new URL("{find_asset(f"{name}.js")}", location.origin));
export default async (given) => (await code).default(given);
"""
    return st.components.v2.component(f"flowground_{name}", js=js, isolate_styles=False)
