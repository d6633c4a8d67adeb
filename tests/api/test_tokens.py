"""Application tokens: what the holder of a real one is told, what is counted, and the limit of runs a minute."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flowground.store.people import members, tokens
from tests.api.calls import Api
from tests.api.langflow_shapes import recording
from tests.api.serving import serving


async def refusal(api: Api, headers: dict[str, str]) -> tuple[str, str]:
    """Code and hint; the status and the sentence are Langflow's in every case."""
    response = await api.run("echo", headers=headers)
    body = response.json()
    assert (response.status_code, body["detail"]) == (403, recording("auth_bad_header")["body"]["detail"])
    return body["code"], body["hint"]


async def test_an_expired_token_is_told_when(api: Api) -> None:
    _, old = await api.token(expires_at=datetime(2026, 1, 2, tzinfo=UTC))
    code, hint = await refusal(api, old)
    assert code == "api_key_expired"
    assert hint == "The token expired on 2026-01-02. Make a new one under API access."
    _, just = await api.token(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert (await refusal(api, just))[0] == "api_key_expired"


async def test_a_revoked_token_is_told_and_ends_at_once(api: Api) -> None:
    token, headers = await api.token(expires_at=datetime.now(UTC) + timedelta(days=1))
    await api.add("ada")
    _, adas = await api.token(owner="ada")
    for good in (headers, adas):
        assert (await api.run("echo", headers=good)).status_code == 200
    await api.runtime.store.write(tokens.revoke, token_id=token.id, by="tests")
    code, hint = await refusal(api, headers)
    assert code == "api_key_revoked"
    assert "was revoked on" in hint
    await api.runtime.store.write(members.remove, member="ada", by="tests")
    assert (await refusal(api, adas))[0] == "api_key_revoked"


@pytest.mark.parametrize("secret", ["sk-bad", "fg_" + "x" * 43, "fg_", "a key with spaces"])
async def test_an_unknown_key_is_told_nothing(api: Api, secret: str) -> None:
    code, hint = await refusal(api, {"x-api-key": secret})
    assert code == "api_key_invalid"
    assert hint.startswith("This is no token of this server")
    assert secret not in hint


async def test_uses_are_counted_and_the_last_one_is_known(api: Api) -> None:
    token, headers = await api.token()
    began = datetime.now(UTC)
    for _ in range(3):
        await api.run("echo", headers=headers)
    api.runtime.store._uses.flush()
    await api.runtime.store.write(tokens.count_uses, uses={})
    (found,) = [item for item in await api.runtime.store.read(tokens.list_tokens) if item.id == token.id]
    assert found.uses == 3
    assert found.last_used_at is not None
    assert began <= found.last_used_at <= datetime.now(UTC)


async def test_keys_in_the_query_can_be_switched_off(tmp_path: Path) -> None:
    async with serving(tmp_path, config={"api": {"key_in_query": False}}) as api:
        key = api.client.headers.pop("x-api-key")
        refused = await api.run("echo", query=f"?x-api-key={key}")
        assert (refused.status_code, refused.json()["code"]) == (403, "api_key_missing")
        assert (await api.run("echo", query="?x-api-key=bad", headers={"x-api-key": key})).status_code == 200


async def test_a_limit_is_told_with_every_answer_and_ends_in_429(tmp_path: Path) -> None:
    async with serving(tmp_path, config={"limits": {"runs_per_minute": 4}}) as api:
        left = [(await api.run("nothing")).headers["x-ratelimit-remaining"]]
        for query in ("", "?stream=true", "?shape=simple"):
            response = await api.run("echo", query=query)
            assert (response.status_code, response.headers["x-ratelimit-limit"]) == (200, "4")
            assert 0 < int(response.headers["x-ratelimit-reset"]) <= 60
            left.append(response.headers["x-ratelimit-remaining"])
        assert left == ["3", "2", "1", "0"]
        assert (await api.run("nothing")).headers["x-ratelimit-remaining"] == "0"
        refused = await api.run("echo")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert refused.headers["retry-after"] == refused.headers["x-ratelimit-reset"]
        _, other = await api.token()
        assert (await api.run("echo", headers=other)).status_code == 200


async def read_me(api: Api, headers: dict[str, str] | None = None) -> dict[str, Any]:
    said: dict[str, Any] = (await api.client.get("/api/v1/me", headers=headers)).json()
    return said


async def test_an_organization_token_is_told_what_it_is(api: Api) -> None:
    said = await read_me(api)
    token = said.pop("token")
    assert (token["name"], token["flows"], token["expires_at"]) == ("other", None, None)
    assert said == {"kind": "organization", "role": "admin", "member": None, "limits": []}
    assert not [name for name in (await api.run("echo")).headers if name.startswith("x-ratelimit")]


async def test_a_persons_token_is_told_whose_it_is(api: Api) -> None:
    await api.runtime.sign_in.roster.add("mia", role="author", display_name="Mia M.", by="tests")
    until = datetime.now(UTC) + timedelta(days=3)
    made, headers = await api.token(owner="mia", flows=("echo",), expires_at=until)
    said = await read_me(api, headers)
    assert (said["kind"], said["role"]) == ("member", "author")
    assert said["member"] == {"id": "mia", "name": "mia", "display_name": "Mia M."}
    assert (said["token"]["id"], said["token"]["flows"]) == (made.id, ["echo"])
    assert said["token"]["expires_at"].startswith(f"{until:%Y-%m-%d %H:%M:%S}")
    assert headers["x-api-key"] not in str(said)


async def test_two_tokens_of_one_person_share_what_is_left_and_asking_costs_nothing(tmp_path: Path) -> None:
    config = {"limits": {"person": {"runs_per_minute": 3}, "runs_per_minute": 5, "flow": {"runs_per_minute": 9}}}
    async with serving(tmp_path, config=config) as api:
        await api.add("mia", "bob")
        (_, one), (_, two) = await api.token(owner="mia"), await api.token(owner="mia", flows=("echo", "gone"))
        for _ in range(3):
            (row,) = (await read_me(api, one))["limits"]
            assert (row["of"], row["what"], row["limit"], row["left"]) == ("person", "runs_per_minute", 3, 3)
        for headers in (one, two):
            assert (await api.run("echo", headers=headers)).status_code == 200
        second = (await read_me(api, two))["limits"]
        found = [(row["of"], row["left"], row.get("flow_id")) for row in second]
        assert found == [("person", 1, None), ("flow", 7, "echo")]
        assert all(0 < row["resets_in"] <= 60 for row in second)
        answer = await api.run("echo", headers=one)
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, "0")
        refused = await api.run("echo", headers=two)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert "limits.person.runs_per_minute" in refused.json()["hint"]
        _, bobs = await api.token(owner="bob")
        assert (await api.run("echo", headers=bobs)).status_code == 200
        # An organization token counts for itself.
        assert [(row["of"], row["left"]) for row in (await read_me(api))["limits"]] == [("token", 3)]
