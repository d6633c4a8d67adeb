"""config.yaml: what it gives, and how it says what is wrong.

How an organization shows itself: what config.yaml may say, and what it is told when it cannot be.
"""

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from docs.settings import settings_page
from flowground.core.errors import ConfigError
from flowground.providers import KINDS
from flowground.providers.builtin.local import LocalSettings
from flowground.providers.scripted import ScriptedSettings
from flowground.settings import GONE, Settings, find_config
from flowground.settings.organization import OrganizationLink
from tests.servers import ROOT, write_folder

SETTINGS = re.findall(r"^\| `([^`]+)`", settings_page(), re.MULTILINE)
every_setting = pytest.mark.parametrize("setting", SETTINGS)


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return Settings.load(path)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    return caught.value.message


def test_a_missing_file_gives_the_defaults_counted_from_its_folder(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path / "config.yaml")
    assert settings.flows == tmp_path / "flows"
    assert settings.data == tmp_path / "data"
    assert settings.database == f"sqlite:///{tmp_path}/data/flowground.db"
    assert settings.default_model == "local"
    assert settings.root == tmp_path


def test_the_shipped_file_says_the_defaults() -> None:
    shipped = Settings.load(ROOT / "config.yaml")
    defaults = Settings.load(ROOT / "there-is-no-such-file.yaml")
    providers = {"local": LocalSettings(download="on_first_message"), "openai": shipped.providers["openai"]}
    assert shipped == defaults.model_copy(update={"providers": providers})
    assert shipped.providers["openai"].missing_variable == "OPENAI_API_KEY"


@every_setting
def test_the_shipped_file_shows_every_setting(setting: str) -> None:
    text = (ROOT / "config.yaml").read_text("utf-8")
    assert re.search(rf"^[# ]*{setting.rpartition('.')[2]}:", text, re.MULTILINE)


def test_every_setting_is_tried_by_a_test() -> None:
    """No tool can tell whether the test is good; that there is none can be told."""
    texts = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    assert [setting for setting in SETTINGS if setting.rpartition(".")[2] not in words] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_file_names_every_kind_of_provider(kind: str) -> None:
    (comment,) = re.findall(r"type: openai +# (.*); may be left out", (ROOT / "config.yaml").read_text("utf-8"))
    shown = re.findall(r"^[# ]*type: (\w+)", (ROOT / "config.yaml").read_text("utf-8"), re.MULTILINE)
    assert kind in {*re.findall(r"\w+", comment), *shown}


def test_an_empty_file_and_empty_sections_are_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "") == load(tmp_path, "# nothing\n")
    settings = load(tmp_path, "limits:\n  # body_bytes: 5\nproviders:\n  local:\npublic_url:\n")
    assert settings.limits.body_bytes == 3_145_728
    assert settings.providers == {"local": LocalSettings()}


MISTAKES = {
    "flow: flows/": "1: flow: unknown setting (did you mean flows?)",
    "# first\nlimits:\n  body_byte: 5": "3: limits.body_byte: unknown setting (did you mean body_bytes?)",
    "root: /": "1: root: unknown setting",
    "providers: {openai: {base_ulr: x}}": "1: providers.openai.base_ulr: unknown setting (did you mean base_url?)",
    "providers: {opnai: {api_key: x}}": "1: providers.opnai: says neither `type` nor `base_url` (did you mean openai?)",
    "default_model: olama:qwen3": "1: default_model: there is no provider 'olama' (did you mean ollama?)",
    "default_model: gpt-5-mini": "1: default_model: there is no provider 'gpt-5-mini'; the form is provider:model",
    "providers:\n  openai:\n    path: x.gguf": "3: providers.openai.path: belongs to providers of type local,",
    "providers:\n  local: {retries: 11}": "2: providers.local.retries: should be a whole number from 0 to 10",
    "providers: {openai: {fallback: [anthropic:x, antropic:x]}}": "1: providers.openai.fallback.1: config.yaml has no",
    "providers: {openai: {fallback: ['openai:gpt-5']}}": "1: providers.openai.fallback.0: openai:gpt-5 is of this",
    "providers: {openai: {fallback: [local, 'local']}}": "1: providers.openai.fallback.1: local stands there twice",
    "providers: {openai: {fallback: local}}": "1: providers.openai.fallback: is a list: write [",
    "providers: {local: 5}": "1: providers.local: is a mapping: its settings stand below it",
    "limits: {body_bytes: 10MB}": "1: limits.body_bytes: should be a whole number of at least 1,024",
    "tweaks: {unknown: ignore}": "1: tweaks.unknown: should be one of refuse, warn",
    "api: {cors: maybe}": "1: api.cors: should be true or false",
    "trusted_proxies: 127.0.0.1": "1: trusted_proxies: is a list: write [127.0.0.1]",
    "default_model: 5": "1: default_model: is a text: put it in quotes",
    "cookie: {name: a b}": "1: cookie.name: must be 1 to 40 of the characters",
    "limits: {run_money: 2}": "1: limits.run_money: needs `prices.models`, which says what models cost",
    "public_url: flows.example.com": "1: public_url: must look like https://flows.example.com",
    "trusted_proxies: [nginx]": "1: trusted_proxies: must be addresses or networks, like 127.0.0.1 or 172.16.0.0",
    "database: mysql://x": "1: database: must look like sqlite:///data/flowground.db or postgresql",
    "providers: {mine: {base_url: here}}": "1: providers.mine.base_url: must look like http://",
    "- a": "1: settings are a mapping, this is a list",
    "flows: a\n\nflows: b": "3: `flows` is given twice; the first is on line 1",
    "providers:\n  a: &a {type: scripted}\n  b: {<<: *a}": "3: Merge keys are not used in config files",
    "organization: {name: !!str 12}": "1: Tags are not used in config files; for a text, quotes are enough",
    "cookie:\n  key: [": "3: ",
    "organization:\n  name: a: b": "2: This colon starts a value where none can stand: check the indentation, or",
    "flows: ${env:HOME}": "1: flows: `${env:…}` is read in secrets only",
    "cookie:\n  key: ${env:UNSET_KEY}": "2: cookie.key: the environment variable UNSET_KEY is not set",
}
"""And where they are told to be, and how, at least to begin with."""


@pytest.mark.parametrize(("text", "said"), MISTAKES.items())
def test_a_mistake_names_line_place_and_nearest_word(tmp_path: Path, text: str, said: str) -> None:
    assert refusal(tmp_path, text).startswith(f"config.yaml:{said}")


@pytest.mark.parametrize("word", ["off", "open", "link", '"off"', "'off'"])
def test_a_mode_is_written_as_it_is_read(tmp_path: Path, word: str) -> None:
    assert load(tmp_path, f"local_mode: {word}\n").local_mode == word.strip("\"'")


def test_off_and_dates_are_texts_where_texts_are_meant(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "organization: {name: 2024-01-01}\n"
        "providers:\n  local:\n    download: off\n  demo: {type: scripted, pieces: [yes, No, =]}\n"
        "credentials:\n  usernames:\n    no: {first_name: On}\n",
    )
    assert settings.organization.name == "2024-01-01"
    assert settings.providers["local"] == LocalSettings(download="off")
    assert settings.providers["demo"] == ScriptedSettings(pieces=("yes", "No", "="))
    assert settings.credentials.usernames == {"no": {"first_name": "On"}}


def test_a_setting_that_is_true_or_false_takes_every_word_for_it(tmp_path: Path) -> None:
    for words, means in (("yes on true 'yes' 1", True), ("no off false 'off' 0", False)):
        for word in f"{words} {words.upper()} {words.title()}".split():
            settings = load(tmp_path, f"api: {{cors: {word}}}\nsharing:\n  allow_public: {word}\n")
            assert (settings.api.cors, settings.sharing.allow_public) == (means, means), word


def test_a_number_may_be_off(tmp_path: Path) -> None:
    numbers = {"off": 0, "no": 0, "Off": 0, "1_000": 1000, "+7": 7, "'5'": 5}
    for written, means in numbers.items():
        limits = load(tmp_path, f"limits:\n  runs_per_minute: {written}\n  run_seconds: {written}\n").limits
        assert (limits.runs_per_minute, limits.run_seconds) == (means, means), written
    settings = load(tmp_path, "providers:\n  openai: {retries: off}\n  demo: {type: scripted, delay: no}\n")
    assert settings.providers["openai"].retries == 0
    assert settings.providers["demo"] == ScriptedSettings(delay=0)


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    lines = refusal(tmp_path, "flow: a\nlimits: {body_bytes: x}\ncookie: {nam: y}\n").splitlines()
    assert [line.split(": ")[1] for line in lines] == ["limits.body_bytes", "cookie.nam", "flow"]


def test_a_refused_value_is_never_repeated(tmp_path: Path) -> None:
    said = refusal(tmp_path, "providers: {openai: {api_key: [sk-very-secret]}}\ncookie: {key: {a: hush}}\n")
    assert "sk-very-secret" not in said
    assert "hush" not in said


def test_secrets_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-1")
    settings = load(
        tmp_path,
        "providers: {openai: {api_key: '${env:SOME_KEY}'}}\n"
        "cookie: {key: 'x${env:SOME_KEY}'}\n"
        "database: postgresql://a:${env:SOME_KEY}@db/flows\n",
    )
    openai, key = settings.providers["openai"], settings.cookie.key
    assert openai.api_key is not None
    assert openai.api_key.get_secret_value() == "sk-1"
    assert openai.missing_variable is None
    assert key is not None
    assert key.get_secret_value() == "xsk-1"
    assert settings.database == "postgresql://a:sk-1@db/flows"
    assert "sk-1" not in repr(settings.providers) + repr(settings.cookie)


def test_an_unset_provider_key_is_none_and_its_variable_is_known(tmp_path: Path) -> None:
    settings = load(tmp_path, "providers: {local: {path: m.gguf}, openai: {api_key: '${env:UNSET_KEY}'}}\n")
    assert settings.providers["openai"].api_key is None
    assert settings.providers["openai"].missing_variable == "UNSET_KEY"
    assert settings.providers["local"] == LocalSettings(path=tmp_path / "m.gguf")


def test_addresses_lose_their_last_slash(tmp_path: Path) -> None:
    settings = load(tmp_path, "public_url: https://a.example/x/\nproviders: {m: {base_url: 'http://b/v1/'}}\n")
    assert settings.public_url == "https://a.example/x"
    assert settings.providers["m"].base_url == "http://b/v1"


def test_the_environment_names_the_config_file_which_must_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_config(tmp_path) == tmp_path / "config.yaml"
    (tmp_path / "my.yaml").touch()
    monkeypatch.setenv("FLOWGROUND_CONFIG", str(tmp_path / "my.yaml"))
    assert find_config(tmp_path) == tmp_path / "my.yaml"
    monkeypatch.setenv("FLOWGROUND_CONFIG", "confg.yaml")
    with pytest.raises(ConfigError, match=r"FLOWGROUND_CONFIG names 'confg.yaml', which does not exist"):
        find_config(tmp_path)


GONE_FILE = """
outgoing: {refresh_minutes: 5, seconds: 20}
providers: {claude: {type: anthropic, prompt_cache: false}}
sharing: {public: {address_file_bytes: 5, file_bytes: 6}}
limits:
  queue_seconds: 0
"""


def test_a_setting_of_an_earlier_release_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load(tmp_path, GONE_FILE)
    assert settings.outgoing.seconds == 20
    assert settings.sharing.public.file_bytes == 6
    gone = {
        2: "outgoing.refresh_minutes",
        3: "providers.claude.prompt_cache",
        4: "sharing.public.address_file_bytes",
        6: "limits.queue_seconds",
    }
    for line, name in gone.items():
        instead = GONE[name.replace("claude", "*")]
        assert f"config.yaml:{line}: {name}: is no setting any more. {instead}" in caplog.messages
    assert len(caplog.messages) == len(gone)


@pytest.mark.parametrize("name", ["visitor", "address"])
def test_a_bound_of_strangers_that_is_gone_stops_the_start(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"config\.yaml:1: limits\.{name}: .* write `limits\.flow`.* money"):
        load(tmp_path, f"limits: {{{name}: {{money_per_day: 5}}}}")


@pytest.mark.parametrize("name", GONE)
def test_no_setting_is_gone_that_exists(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    value = "1"
    for part in reversed(name.replace("*", "local").split(".")):
        value = f"{{{part}: {value}}}"
    load(tmp_path, value)
    assert [message for message in caplog.messages if name.replace("*", "local") in message]
    caplog.clear()
    load(tmp_path, (ROOT / "config.yaml").read_text("utf-8"))
    assert caplog.messages == []


def load_organization(folder: Path, **organization: Any) -> Settings:
    return Settings.load(write_folder(folder, config={"organization": organization}, flows={}))


def test_pictures_are_counted_from_the_config_files_folder(tmp_path: Path) -> None:
    (tmp_path / "brand").mkdir()
    (tmp_path / "brand" / "icon.svg").write_text("<svg/>")
    settings = load_organization(tmp_path, icon="brand/icon.svg", colors={"dark": {"primary": "#12824f"}})
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
        load_organization(tmp_path, **given)
    assert said.lower() in refusal.value.message.lower()


def test_a_picture_has_a_bound(tmp_path: Path) -> None:
    (tmp_path / "icon.png").write_bytes(b"x" * 200_001)
    with pytest.raises(ConfigError, match="has 200001 bytes; 200000 are the most"):
        load_organization(tmp_path, icon="icon.png")


TAKEN = ["https://example.com/terms", "mailto:a@example.com", "/terms", "/"]
REFUSED = ["//host", "/\\host", "\\\\host", "/\t/host", "http://host", "javascript:x", "terms", "https://a b"]


@pytest.mark.parametrize("url", TAKEN + REFUSED)
def test_links_lead_to_https_to_an_address_for_mail_or_into_this_site(url: str) -> None:
    with nullcontext() if url in TAKEN else pytest.raises(ValidationError):
        assert OrganizationLink(title="Terms", url=url).url == url
