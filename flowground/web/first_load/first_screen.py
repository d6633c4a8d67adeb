"""index.html of every page: with the organization's name on screen until Streamlit has drawn something itself."""

import json
import re
from base64 import b64encode
from html import escape
from pathlib import Path

from flowground.settings import Settings
from flowground.settings.organization import OrganizationSettings
from flowground.shims import page_files
from flowground.web.first_load.modules import find_chat_modules
from flowground.yaml_file.colors import make_lighter

_FOLDER = Path(__file__).parent
_ICON = "/app/static/icon.svg"
_KINDS = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}
_OPTIONS = {
    "primary": "primaryColor",
    "background": "backgroundColor",
    "sidebar": "sidebar.backgroundColor",
    "text": "textColor",
}
"""What Streamlit calls the colours of config.yaml."""
_FONT = "/app/static/inter-latin.woff2"


def apply_colors(organization: OrganizationSettings) -> None:
    """The organization's, in place of those of .streamlit/config.toml, for the process."""
    for kind, colors in (("light", organization.colors.light), ("dark", organization.colors.dark)):
        for name, option in _OPTIONS.items():
            if color := getattr(colors, name):
                page_files.set_color(kind, option, color)
        if colors.primary:
            link = colors.primary if kind == "light" else make_lighter(colors.primary)
            page_files.set_color(kind, "linkColor", link)


def compose_index(settings: Settings) -> str:
    """The same for every page and caller: it says the organization's name, icon and colours."""
    name, icon = escape(settings.organization.name), _find_icon(settings.organization)
    head = f"""<title>{name}</title>
    <link rel="icon" href="{icon}">
    <link rel="preload" href="{_FONT}" as="font" type="font/woff2" crossorigin>
    <style>{_write_styles()}{_write_name(settings.organization)}</style>
    <script>{_write_script()}</script>"""
    body = f"""<div id="splash" role="status"><img src="{icon}" alt="" width="48" height="48">
      <span>{name}</span><i></i><noscript>This page needs JavaScript.</noscript></div>"""
    index = page_files.write_index(head=head, body=body)
    return index.replace("</body>", f"<script>{_read('splash.js')}</script></body>", 1)


def _find_icon(organization: OrganizationSettings) -> str:
    """Its own one in the page itself, so that nobody has to ask for it."""
    if organization.icon is None:
        return _ICON
    kind = _KINDS[organization.icon.suffix.lower()]
    return f"data:{kind};base64,{b64encode(organization.icon.read_bytes()).decode()}"


def _write_script() -> str:
    filled = {
        "SIDEBAR_KEY": page_files.SIDEBAR_KEY,
        "...LOOKS": f"...{json.dumps(page_files.describe_looks())}",
        "CHAT_MODULES": json.dumps(find_chat_modules(page_files.write_index(head="", body=""))),
    }
    script = _read("head.js")
    for word, text in filled.items():
        script = script.replace(word, text.replace("</", "<\\/"))
    return script


def _write_styles() -> str:
    styles = _read("splash.css")
    for kind in ("light", "dark"):
        for word, name in (("INK", "textColor"), ("PAPER", "backgroundColor"), ("ACCENT", "primaryColor")):
            styles = styles.replace(f"{kind.upper()}_{word}", page_files.read_color(kind, name))
    return styles


def _write_name(organization: OrganizationSettings) -> str:
    """The name as CSS, for the places where it stands beside the icon: none where a logo says it."""
    if organization.logo:
        return ""
    letters = (letter if letter.isalnum() else f"\\{ord(letter):x} " for letter in organization.name)
    return f':root {{ --fg-name: "{"".join(letters)}" }}'


def _read(file: str) -> str:
    """Without its lines of comment: every page begins with it."""
    return re.sub(r"^ *//.*\n", "", (_FOLDER / file).read_text("utf-8"), flags=re.MULTILINE)
