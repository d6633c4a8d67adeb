"""`keys create`, `list`, `revoke_link`."""

from tests.command_line import Here


def test_a_key_is_created_listed_and_revoked(here: Here) -> None:
    made = here("keys", "create", "laptop", "--flow", "loud", "--flow", "echo", "--flow", "echo", "--expires", "30d")
    token = made.out.split()[-1]
    assert made.code == 0
    assert made.out == f"{token}\n"
    assert made.err.startswith("laptop may run shout, echo until 20")
    listed = here("keys", "list")
    identity, prefix, name, owner, flows, state, expires, used, uses, sees, sets = listed.last_line.split()
    assert (name, owner, flows, state, used, uses) == ("laptop", "organization", "shout,echo", "active", "-", "0")
    assert (sees, sets) == ("answers", "opened")
    assert token.startswith(prefix.removesuffix("…"))
    assert token not in listed.out
    assert expires.startswith("20")
    assert here("keys", "revoke", identity[:8]).err == "laptop is revoked.\n"
    assert here("keys", "revoke", token).err == "laptop was revoked before.\n"
    assert here("keys", "list").last_line.split()[5] == "revoked"


def test_a_key_sees_and_sets_what_is_said(here: Here) -> None:
    made = here("keys", "create", "ci", "--sees", "inside", "--sets", "unprotected")
    assert "It sees the inside of flows and may set every field that is not protected." in made.err
    assert here("keys", "list").last_line.split()[-2:] == ["inside", "unprotected"]
    said = "ci may run every flow until it is revoked. It sees answers only and may set what their authors opened."
    assert here("keys", "create", "ci").err.startswith(said)
    assert "This can reveal a flow's prompt" in " ".join(here("keys", "create", "--help").out.split())


def test_keys_say_what_is_wrong(here: Here) -> None:
    assert here("keys", "create", "x", "--flow", "ecko").err == "There is no flow ecko (did you mean echo?).\n"
    assert here("keys", "revoke", "nothing").err == "There is no such token. `keys list` shows their ids.\n"
