"""How an organization shows itself: what config.yaml may say, and what it is told when it cannot be."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flowground.core.errors import ConfigError
from flowground.settings import Settings
from flowground.settings.organization import OrganizationLink
from tests.servers import write_folder


def load(folder: Path, **organization: Any) -> Settings:
    return Settings.load(write_folder(folder, config={"organization": organization}, flows={}))


def test_pictures_are_counted_from_the_config_files_folder(tmp_path: Path) -> None:
    (tmp_path / "brand").mkdir()
    (tmp_path / "brand" / "icon.svg").write_text("<svg/>")
    settings = load(tmp_path, icon="brand/icon.svg", colors={"dark": {"primary": "#12824f"}})
    assert settings.organization.icon == tmp_path / "brand" / "icon.svg"
    assert (settings.organization.colors.dark.primary, settings.organization.colors.light.primary) == ("#12824f", None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"logo": "logo.svg"}, "organization.logo: there is no file 'logo.svg'"),
        ({"timezone": "Berlin"}, "organization.timezone: must be a name of the time zone database, like Europe/Berlin"),
        ({"logo": "logo.gif"}, "organization.logo: must be an SVG, PNG, WebP or JPEG file"),
        ({"colors": {"light": {"primary": None}}}, "colors.light.primary: should be a colour in quotes, like"),
        ({"links": [{"title": "Terms", "url": "terms"}]}, "organization.links.0.url: must look like https://"),
        ({"links": [{"title": "Terms"}]}, "organization.links.0.url: is missing"),
        ({"colors": {"light": {"primray": "#000000"}}}, "did you mean primary?"),
    ],
)
def test_what_cannot_be_is_said_with_its_place(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(tmp_path, **given)
    assert said.lower() in refusal.value.message.lower()


def test_a_picture_has_a_bound(tmp_path: Path) -> None:
    (tmp_path / "icon.png").write_bytes(b"x" * 200_001)
    with pytest.raises(ConfigError, match="has 200001 bytes; 200000 are the most"):
        load(tmp_path, icon="icon.png")


TAKEN = ["https://example.com/terms", "mailto:a@example.com", "/terms", "/"]
REFUSED = ["//host", "/\\host", "\\\\host", "/\t/host", "http://host", "javascript:x", "terms", "https://a b"]


@pytest.mark.parametrize("url", TAKEN + REFUSED)
def test_links_lead_to_https_to_an_address_for_mail_or_into_this_site(url: str) -> None:
    with nullcontext() if url in TAKEN else pytest.raises(ValidationError):
        assert OrganizationLink(title="Terms", url=url).url == url
