"""Colours that stand in YAML files, and their lighter shades for dark pages."""

from typing import Annotated

from pydantic import Field

Color = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", json_schema_extra={"format": "color-hex"})]


def make_lighter(color: str) -> str:
    """Half way to white: for links on a dark page, where the colour of a button is too dark to be read."""
    return "#" + "".join(f"{(part + 255) // 2:02x}" for part in _read_parts(color))


def write_link_color(color: str) -> str:
    """For CSS: on a light page the colour itself, on a dark one its lighter shade."""
    return f"light-dark({color}, {make_lighter(color)})"


def _read_parts(color: str) -> list[int]:
    """Red, green and blue, 0 to 255."""
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]
