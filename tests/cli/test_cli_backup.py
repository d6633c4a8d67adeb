"""`backup`: what a folder of it holds, and that an app starts from it."""

import stat

import pytest
import yaml

from tests.command_line import Here
from tests.servers import write_folder


def make_data(here: Here) -> None:
    """A key, a model's weights, and a database in which there is a token."""
    for name in ("cookie.key", "models/large.gguf", "processes/one"):
        file = here.folder / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("k" * 64, "utf-8")
    assert here("keys", "create", "laptop").code == 0


def test_a_backup_holds_everything_and_can_be_served_from(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    make_data(here)
    made = here("backup", "kept/monday")
    assert (made.code, made.out) == (0, "kept/monday\n")
    kept = here.folder / "kept" / "monday"
    assert sorted(str(file.relative_to(kept)) for file in kept.rglob("*") if file.is_file()) == [
        "config.yaml", "data/cookie.key", "data/flowground.db", "flows/ask.yaml", "flows/echo.yaml", "flows/shout.yaml"
    ]  # fmt: skip
    assert "OPENAI_API_KEY" in made.err
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept / "data" / "flowground.db").stat().st_mode) == 0o600
    assert here("keys", "create", "later").code == 0

    monkeypatch.setenv("FLOWGROUND_CONFIG", str(kept / "config.yaml"))
    listed = here("keys", "list").out
    assert ("laptop" in listed, "later" in listed) == (True, False)
    said = here("run", "echo", "--message", "Hi")
    assert (said.out, said.err) == ("Hi\n", "")


def test_a_backup_takes_no_folder_that_holds_something_or_is_copied_itself(here: Here) -> None:
    make_data(here)
    assert here("backup", "kept").code == 0
    for name, told in (("kept", "kept is not empty."), ("data/kept", "data/kept lies in what is copied.")):
        refused = here("backup", name)
        assert (refused.code, told in refused.err) == (1, True)


def test_what_lies_elsewhere_is_kept_by_its_name(here: Here, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    config = {"database": f"sqlite:///{elsewhere}/all.db", "data": str(elsewhere)}
    write_folder(here.folder, config=config, flows={})
    assert here("keys", "create", "laptop").code == 0
    assert here("backup", "kept").code == 0
    assert (here.folder / "kept" / "all.db").is_file()


def test_a_postgresql_database_is_left_to_pg_dump(here: Here) -> None:
    settings = yaml.safe_load((here.folder / "config.yaml").read_text("utf-8"))
    write_folder(here.folder, config=settings | {"database": "postgresql://nobody@127.0.0.1:1/none"}, flows={})
    made = here("backup", "kept")
    assert made.code == 0
    assert "The database is not SQLite's file: copy it with pg_dump." in made.err
