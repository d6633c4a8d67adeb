"""What is wrong in the folder of flows, or with it, stops only itself: the last good version serves, and it is told."""

import pytest

from tests.flow_folder import Folder, text
from tests.flow_texts import LIMIT
from tests.test_loader import folder as folder


@pytest.mark.parametrize("broken", ["", "name: [", "name: x\n", text(said="'${Nobody}'"), b"\xff", b"a" * (LIMIT + 1)])
def test_a_broken_file_keeps_its_last_good_version_and_stops_nothing_else(folder: Folder, broken: str | bytes) -> None:
    folder.write("talk.yaml", text(said="good"))
    folder.write("other.yaml", text(said="other"))
    assert folder.catalogue.find_stale("talk") is None
    folder.write("talk.yaml", broken)
    assert (folder.said("talk"), folder.said("other")) == ("good", "other")
    assert list(folder.mistakes()) == ["talk.yaml"]
    assert str(folder.catalogue.find_stale("talk")) == str(folder.catalogue.list_problems()["talk.yaml"])
    assert folder.catalogue.find_stale("other") is None
    folder.write("talk.yaml", text(said="mended"))
    assert (folder.said("talk"), folder.mistakes(), folder.catalogue.find_stale("talk")) == ("mended", {}, None)


def test_two_flows_with_one_address_name_both_files(folder: Folder) -> None:
    folder.write("a.yaml", text(extra="api: {endpoint_name: shared}\n"))
    folder.write("b.yaml", text(extra="api:\n  endpoint_name: shared\n"))
    folder.write("c.yaml", text(extra="id: a\n"))
    assert folder.mistakes() == {
        "b.yaml": "b.yaml:3:18: 'shared' is the address of two flows: a.yaml has it, so b.yaml needs another one.",
        "c.yaml": "c.yaml:2:5: 'a' is the address of two flows: a.yaml has it, so c.yaml needs another one.",
    }
    assert list(folder.catalogue.list_flows()) == ["a"]
    folder.write("b.yaml", text(extra="id: b7eb5878-8be8-40e4-8262-3aab381924ac\n"))
    folder.write("c.yaml", text(extra="id: B7EB5878-8BE8-40E4-8262-3AAB381924AC\n"))
    assert list(folder.mistakes()) == ["c.yaml"], "capitals of a UUID"


def test_an_address_stays_with_the_flow_that_has_it(folder: Folder) -> None:
    folder.write("z.yaml", text(said="z"))
    assert folder.said("z") == "z"
    folder.write("a.yaml", text(said="a", extra="id: z\n"))
    assert folder.said("z") == "z"
    assert list(folder.mistakes()) == ["a.yaml"]
    (folder.path / "z.yaml").unlink()
    folder.catalogue.list_flows()
    assert (folder.said("z"), folder.mistakes()) == ("a", {})


def test_a_flow_that_asks_for_a_taken_address_keeps_serving_its_last_version(folder: Folder) -> None:
    folder.write("a.yaml", text(said="a"))
    folder.write("b.yaml", text(said="b"))
    folder.catalogue.list_flows()
    folder.write("a.yaml", text(said="new", extra="api: {endpoint_name: b}\n"))
    assert (folder.said("a"), folder.said("b")) == ("a", "b")
    assert folder.catalogue.find_stale("a") is not None
    folder.write("b.yaml", text(said="b", extra="id: moved\n"))
    assert (folder.said("b"), folder.said("moved"), folder.mistakes()) == ("new", "b", {})


def test_one_failed_look_changes_nothing_and_two_without_a_folder_empty_the_shelf(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write("talk.yaml", text(said="one"))
    away = folder.path.with_name("away")
    assert folder.said("talk") == "one"
    for _ in range(3):
        folder.path.rename(away)
        assert folder.said("talk") == "one"
        away.rename(folder.path)
        assert folder.said("talk") == "one"
    assert [record.message for record in caplog.records] == 3 * [
        "The folder of flows cannot be read: No such file or directory. What was read last goes on serving.",
        "The folder of flows can be read again.",
    ]
    folder.path.rename(away)
    assert [folder.said("talk"), folder.said("talk")] == ["one", None]
    assert list(folder.mistakes()) == [folder.path.name]
    away.rename(folder.path)
    assert (folder.said("talk"), folder.mistakes()) == ("one", {})
    assert len(caplog.records) == 8


def test_a_folder_that_cannot_be_listed_serves_on_and_is_told(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """As with no descriptor left: any failure but a folder that is not there."""
    folder.write("talk.yaml", text(said="one"))
    away = folder.path.with_name("away")
    assert folder.said("talk") == "one"
    folder.path.rename(away)
    folder.path.write_text("no folder")
    for _ in range(4):
        assert folder.said("talk") == "one"
    says = f"{folder.path.name}:1:1: The folder of flows cannot be read: Not a directory."
    assert folder.mistakes() == {folder.path.name: says}
    folder.path.unlink()
    away.rename(folder.path)
    assert (folder.said("talk"), folder.mistakes()) == ("one", {})
    assert len(caplog.records) == 2


def test_the_log_names_a_file_with_mistakes_once(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    folder.write("born.yaml", "components:\n  Out: {type: ChatOutptu}\n  In: {type: ChatIn}\n")
    folder.write("good.yaml", text())
    folder.catalogue.log_problems()
    folder.write("good.yaml", "nmae: x\n")
    folder.write("late.yaml", "nmae: x\n")
    for _ in range(3):
        folder.mistakes()
    said = [record.message for record in caplog.records]
    assert [line.split(": ")[1] for line in said] == ["born.yaml:2:15", "good.yaml:1:1", "late.yaml:1:1"]
    assert said[0].endswith("(1 more mistake)")


def test_a_file_that_nobody_may_read_keeps_its_last_good_version_and_a_link_to_nothing_is_told(folder: Folder) -> None:
    folder.write("talk.yaml", text())
    assert folder.said("talk") == "hello"
    (folder.path / "talk.yaml").unlink()
    for name in ("talk.yaml", "new.yaml"):
        (folder.path / name).symlink_to(folder.path / "nowhere")
    assert folder.said("talk") == "hello"
    assert folder.catalogue.find_stale("talk") is not None
    assert folder.mistakes()["new.yaml"] == "new.yaml:1:1: The file cannot be read: No such file or directory."
