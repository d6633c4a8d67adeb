"""How an organization shows itself: its name, pictures, colours and links."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from flowground.core.values import find_zone
from flowground.core.yaml_file import Color, ConfigSection, KeyPath, check_pattern

_ENDINGS = frozenset({".svg", ".png", ".webp", ".jpg", ".jpeg"})
_MOST_BYTES = 200_000
_LINK = r"^(https://[^\s\\<>]+|mailto:[^\s\\<>]+|/([^\s\\<>/][^\s\\<>]*)?)$"


class ColorSettings(ConfigSection):
    primary: Color | None = Field(None, description="Buttons, links and what is chosen.")
    background: Color | None = Field(None, description="The page.")
    sidebar: Color | None = Field(None, description="The sidebar.")
    text: Color | None = Field(None, description="Text.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_comments(cls, data: Any) -> Any:
        """`primary: #0b5fff` without quotes is a comment to YAML; it is refused, since its author meant a colour."""
        if not isinstance(data, dict):
            return data
        return {key: "" if value is None and key in cls.model_fields else value for key, value in data.items()}


class BothColors(ConfigSection):
    """Colours of light and dark pages; what is left out keeps Flowground's colour."""

    light: ColorSettings = ColorSettings()
    dark: ColorSettings = ColorSettings()


class OrganizationLink(ConfigSection):
    title: str = Field(min_length=1, max_length=40)
    url: Annotated[str, check_pattern(_LINK, "must look like https://example.com, mailto:it@example.com or /terms")] = (
        Field(max_length=500, description="`https://…`, `mailto:…`, or a path of this server such as `/terms`.")
    )


class OrganizationSettings(ConfigSection):
    name: str = Field(
        "Flowground",
        min_length=1,
        max_length=80,
        description="Shown on the sign-in page and in the sidebar.",
    )
    logo: Path | None = Field(
        None,
        description="SVG, PNG, WebP or JPEG on top of every page, some 30 pixels high, at most 200 kB; the icon "
        "and the name when left out.",
    )
    icon: Path | None = Field(
        None, description="A square picture of these kinds, in the browser's tab, and beside the name."
    )
    colors: BothColors = BothColors()
    links: tuple[OrganizationLink, ...] = Field(
        (),
        max_length=6,
        description="`title` and `url` each, at the foot of the sidebar and the sign-in page.",
    )

    timezone: str = Field(
        "UTC",
        max_length=100,
        description="The time zone of Current Date for programs, like `Europe/Berlin`; people get their browser's.",
    )

    @field_validator("timezone")
    @classmethod
    def _check_zone(cls, value: str) -> str:
        if find_zone(value) is None:
            raise ValueError("must be a name of the time zone database, like Europe/Berlin")
        return value

    @field_validator("logo", "icon")
    @classmethod
    def _check_ending(cls, value: Path | None) -> Path | None:
        if value is not None and value.suffix.lower() not in _ENDINGS:
            raise ValueError("must be an SVG, PNG, WebP or JPEG file")
        return value

    def count_paths_from(self, root: Path) -> "OrganizationSettings":
        pictures = {name: root / file for name, file in (("logo", self.logo), ("icon", self.icon)) if file}
        return self.model_copy(update=pictures)

    def find_mistakes(self, root: Path) -> Iterator[tuple[KeyPath, str]]:
        """Pictures that are missing or too large: checks that need the config file's folder."""
        for name, picture in (("logo", self.logo), ("icon", self.icon)):
            if picture is None:
                continue
            file = root / picture
            if not file.is_file():
                yield ("organization", name), f"there is no file {str(picture)!r}"
            elif file.stat().st_size > _MOST_BYTES:
                yield ("organization", name), f"has {file.stat().st_size} bytes; {_MOST_BYTES} are the most"
