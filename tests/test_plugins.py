"""Another package adds a component type and a kind of provider by its entry points, and nothing of ours is changed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from docs.components import components_page
from docs.settings import settings_page
from flowground.components import COMPONENTS
from flowground.core.errors import ConfigError
from flowground.flows.schema import build_flow_schema
from flowground.providers import KINDS
from flowground.settings import Settings
from tests.api.serving import serving
from tests.in_process import runtime_of
from tests.servers import ROOT, write_folder

PLUGIN = ROOT / "tests" / "plugin"
FLOW = """
components:
  In: {type: ChatInput}
  Whisper: {type: Whisper, input_value: "${In}"}
  Model: {type: LanguageModel, model: "mumble:any", input_value: "${Whisper}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
"""


def read_anew() -> None:
    """The tables, by the packages that are there now."""
    for table in (COMPONENTS, KINDS):
        vars(table).pop("_types", None)
    Settings.model_rebuild(force=True)


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[None]:
    """That package, and those that a test writes into `tmp_path / "packages"` before it reads the tables anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path / "packages")
        patch.syspath_prepend(PLUGIN)
        read_anew()
        yield
    read_anew()


def install(folder: Path, name: str, code: str, **types: str) -> None:
    """A package of one module, which adds these component types by their classes."""
    info = folder / "packages" / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    lines = (f"{kind} = {name}:{where}\n" for kind, where in types.items())
    (info / "entry_points.txt").write_text(f"[flowground.components]\n{''.join(lines)}", "utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    (folder / "packages" / f"{name}.py").write_text(code, "utf-8")


@pytest.mark.usefixtures("installed")
async def test_its_types_run_by_the_api_with_settings_tweaks_and_bounds(tmp_path: Path) -> None:
    async with serving(tmp_path, flows={"soft": FLOW}, config={"providers": {"mumble": {"times": 3}}}) as api:
        assert await api.text("soft", {"input_value": "HEY"}) == "hey… hey… hey…"
        assert await api.text("soft", {"input_value": "HEY", "tweaks": {"Whisper": {"mark": "."}}}) == "hey. hey. hey."
        refused = await api.run("soft", {"input_value": "HEY", "tweaks": {"Whisper": {"mark": "......"}}})
        assert (refused.status_code, "5 is the limit" in refused.text) == (422, True)


@pytest.mark.usefixtures("installed")
def test_its_types_stand_in_docs_schema_and_forms(tmp_path: Path) -> None:
    assert "What stands behind the whisper." in components_page()
    assert "how often it says a word." in settings_page()
    assert "Whisper" in json.dumps(build_flow_schema())
    with pytest.raises(ConfigError, match=r"providers\.quiet\.times: should be a whole number from 1 to 9"):
        Settings.load(
            write_folder(tmp_path, config={"providers": {"quiet": {"type": "mumble", "times": 10}}}, flows={})
        )
    with runtime_of(write_folder(tmp_path, config={"default_model": "mumble:any"}, flows={"soft": FLOW})):
        at = AppTest.from_file(str(ROOT / "pages" / "router.py"), default_timeout=60).run()
        at.switch_page("api_access.py")
        at.query_params["flow"] = "soft"
        at.run()
        assert not at.exception
        assert "Mark" in [area.label for area in (*at.text_area, *at.text_input)]


@pytest.mark.usefixtures("installed")
async def test_what_cannot_be_used_is_a_sentence_and_takes_nothing_else_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install(tmp_path, "broken", "import there_is_no_such_module\n", Broken="Broken")
    install(tmp_path, "leaving", "raise SystemExit\n", Leaving="Leaving")
    install(tmp_path, "rival", "from acme_types import Whisper\n", Prompt="Whisper", Whisper="Whisper", Hum="Whisper")
    install(tmp_path, "vague", "Nothing = 1\n", Nothing="Nothing")
    read_anew()
    flows = {"soft": FLOW, "lost": FLOW.replace("type: Whisper", "type: Broken")}
    async with serving(tmp_path, flows=flows) as api:
        assert await api.text("soft", {"input_value": "HEY"}) == "hey… hey…"
        (problem,) = api.runtime.catalogue.list_problems().values()
        assert "There is no component type 'Broken'" in problem.message
    said = [record.getMessage() for record in caplog.records if record.name == "flowground.core.plugins"]
    group = "to flowground.components"
    assert said == [
        f"The package broken adds no 'Broken' {group}: No module named 'there_is_no_such_module'.",
        f"The package leaving adds no 'Leaving' {group}: SystemExit.",
        f"The package rival adds no 'Prompt' {group}: Flowground has a type of this name.",
        f"The package rival adds no 'Whisper' {group}: the package acme-types has a type of this name.",
        f"The package rival adds no 'Hum' {group}: its `type_name` is 'Whisper', and not the entry point's name.",
        f"The package vague adds no 'Nothing' {group}: it is 1, and no subclass of Component.",
    ]
