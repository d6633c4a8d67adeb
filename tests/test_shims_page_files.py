"""What `flowground/shims/page_files.py` rests on in Streamlit's own files is still there."""

import re
from importlib.metadata import version

import pytest
from streamlit.proto.NewSession_pb2 import CustomThemeConfig

from flowground.shims import page_files
from flowground.web.first_load.modules import ELEMENTS
from tests.insides import Insides, require

SCRIPTS = [file.read_text("utf-8") for file in page_files.find_files().values() if file.suffix == ".js"]
INDEX = (page_files.FOLDER / "index.html").read_text("utf-8")


def count(text: str) -> int:
    return sum(script.count(text) for script in SCRIPTS)


INSIDES: Insides = {
    "page_files.py: index.html names its scripts and styles relative to the page": lambda: (
        len(re.findall(r'(?:src|href)="\./static/', INDEX)) > 50 and 'src="/' not in INDEX
    ),
    "page_files.py: its files have these endings": lambda: (
        {file.suffix for file in (page_files.FOLDER / "static").rglob("*") if file.is_file()} == page_files.ENDINGS
    ),
    "page_files.py: its first script is a module, its only place is `root`": lambda: (
        INDEX.count('<script type="module"') == 1 and INDEX.count('<div id="root">') == 1
    ),
    "page_files.py: the frontend reads where its server is, and both looks": lambda: all(
        count(f"get {name}()") for name in ("BACKEND_BASE_URL", "LIGHT_THEME", "DARK_THEME")
    ),
    "page_files.py: it opens its socket at once when it is told these two (first_load/head.js)": lambda: (
        count("let{allowedOrigins:t,useExternalAuthToken:n}=e") == 1 and count("this.args.enableBypass===!0") == 1
    ),
    "page_files.py: it listens to pages of those origins alone": lambda: count(
        "this.allowedOrigins.some(t=>un(t,e.origin))"
    ),
    "page_files.py: each kind of element has one script of its name (first_load/modules.py)": lambda: all(
        len(list((page_files.FOLDER / "static" / "js").glob(f"{name}.*.js"))) == 1 for name in ELEMENTS
    ),
    "page_files.py: it asks for these below the server's address": lambda: (
        count("`_stcore/health`") and count("`_stcore/host-config`")
    ),
    "page_files.py: it asks matchMedia whether pages are dark, and listens to it (first_load/head.js)": lambda: (
        count("window.matchMedia(`(prefers-color-scheme: dark)`).matches?`dark`:`light`")
        and count("let e=window.matchMedia(`(prefers-color-scheme: dark)`);return e.addEventListener(`change`,p)")
    ),
    "page_files.py: elements of a page are known by these names (first_load/splash.js)": lambda: (
        count("`stMain ") + count("`stMain`") and count("`stElementContainer") and count("`stDialog`")
    ),
    "page_files.py: it keeps whether the sidebar is closed": lambda: count(f"`{page_files.SIDEBAR_KEY}${{e}}`"),
    "page_files.py: a theme's colours and fonts stand in CustomThemeConfig": lambda: (
        {"primary_color", "body_font", "sidebar", "base"} <= set(CustomThemeConfig.DESCRIPTOR.fields_by_name)
    ),
}


@pytest.mark.parametrize("expected", INSIDES)
def test_the_inside_of_streamlit_is_what_we_think(expected: str) -> None:
    require(INSIDES, expected, {"streamlit": "1.67"})


@pytest.mark.parametrize("text", page_files.REPLACED)
def test_what_is_replaced_stands_there_once(text: str) -> None:
    assert count(text) == 1, f"Not in the scripts of Streamlit {version('streamlit')}: see page_files.py"


def test_index_has_one_base_and_none_of_streamlits_words() -> None:
    index = page_files.write_index(head="<title>Acme</title>", body="<p>Wait</p>")
    assert index.index("<title>Acme") < index.index('<script type="module" crossorigin src="/static/js/index.')
    assert index.index("<p>Wait</p>") < index.index('<div id="root">')
    shown = index[index.index("<!DOCTYPE") :]
    assert '"./' not in shown
    for word in (">Streamlit<", "Streamlit app", "SourceSans", "_stcore", "noscript"):
        assert word not in shown
