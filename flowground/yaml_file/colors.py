"""Colours that stand in YAML files, and whether what is written on them can be read."""

from typing import Annotated

from pydantic import AfterValidator, Field

LEAST_CONTRAST = 4.5
"""WCAG 2's least for text of normal size."""
_WHITE = "#ffffff"

Color = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", json_schema_extra={"format": "color-hex"})]


def measure_contrast(one: str, other: str) -> float:
    """Between 1 and 21, by WCAG 2."""
    low, high = sorted((_measure_light(one), _measure_light(other)))
    return (high + 0.05) / (low + 0.05)


def find_fault(color: str, *, beside: str = _WHITE, named: str = "white, a button's text,") -> str | None:
    """What is wrong with a colour next to another one, which people know as `named`; None where it can be read."""
    found = measure_contrast(color, beside)
    if found >= LEAST_CONTRAST:
        return None
    return f"its contrast to {named} is {found:.1f}; at least {LEAST_CONTRAST} can be read by everybody"


def make_lighter(color: str) -> str:
    """Half way to white: for links on a dark page, where the colour of a button is too dark to be read."""
    return "#" + "".join(f"{(part + 255) // 2:02x}" for part in _read_parts(color))


def write_link_color(color: str) -> str:
    """For CSS: on a light page the colour itself, on a dark one its lighter shade."""
    return f"light-dark({color}, {make_lighter(color)})"


def _measure_light(color: str) -> float:
    parts = [part / 255 for part in _read_parts(color)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _read_parts(color: str) -> list[int]:
    """Red, green and blue, 0 to 255."""
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def _refuse_pale(color: str) -> str:
    if fault := find_fault(color):
        raise ValueError(fault)
    return color


ButtonColor = Annotated[Color, AfterValidator(_refuse_pale)]
"""One on which white can be read, and which can be read on white."""
