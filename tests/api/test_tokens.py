"""Application tokens: what the holder of a real one is told, what is counted, and the limit of runs a minute."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowground.store.people import members, tokens
from tests.api.calls import Api
from tests.api.serving import serving
from tests.people import PASSWORD

pytestmark = pytest.mark.anyio

LANGFLOWS = "Invalid or missing API key"


async def refusal(api: Api, headers: dict[str, str]) -> tuple[str, str]:
    """Code and hint; the status and the sentence are Langflow's in every case."""
    response = await api.client.post("/api/v1/run/echo", json={}, headers=headers)
    body = response.json()
    assert (response.status_code, body["detail"]) == (403, LANGFLOWS)
    return body["code"], body["hint"]


async def test_an_expired_token_is_told_when(api: Api) -> None:
    _, old = await api.token(expires_at=datetime(2026, 1, 2, tzinfo=UTC))
    code, hint = await refusal(api, old)
    assert code == "api_key_expired"
    assert hint == "The token expired on 2026-01-02. Make a new one under API access."


async def test_a_revoked_token_is_told_and_ends_at_once(api: Api) -> None:
    token, headers = await api.token(expires_at=datetime.now(UTC) + timedelta(days=1))
    assert (await api.client.post("/api/v1/run/echo", json={}, headers=headers)).status_code == 200
    await api.runtime.store.write(tokens.revoke, token_id=token.id, by="tests")
    code, hint = await refusal(api, headers)
    assert code == "api_key_revoked"
    assert "was revoked on" in hint


@pytest.mark.parametrize("secret", ["sk-bad", "fg_" + "x" * 43, "fg_", "a key with spaces"])
async def test_an_unknown_key_is_told_nothing(api: Api, secret: str) -> None:
    code, hint = await refusal(api, {"x-api-key": secret})
    assert code == "api_key_invalid"
    assert hint.startswith("This is no token of this server")
    assert secret not in hint


async def test_a_token_whose_owner_left_says_so(api: Api) -> None:
    await api.runtime.sign_in.roster.add("ada", role="author", password=PASSWORD, by="tests")
    _, adas = await api.token(owner="ada")
    assert (await api.client.post("/api/v1/run/echo", json={}, headers=adas)).status_code == 200
    await api.runtime.store.write(members.remove, member="ada", by="tests")
    code, _ = await refusal(api, adas)
    assert code == "api_key_revoked"


async def test_uses_are_counted_and_the_last_one_is_known(api: Api) -> None:
    token, headers = await api.token()
    began = datetime.now(UTC)
    for _ in range(3):
        await api.client.post("/api/v1/run/echo", json={}, headers=headers)
    api.runtime.store._uses.flush()
    await api.runtime.store.write(tokens.count_uses, uses={})
    (found,) = [item for item in await api.runtime.store.read(tokens.list_tokens) if item.id == token.id]
    assert found.uses == 3
    assert found.last_used_at is not None
    assert began <= found.last_used_at <= datetime.now(UTC)


async def test_keys_in_the_query_can_be_switched_off(tmp_path: Path) -> None:
    async with serving(tmp_path, config={"api": {"key_in_query": False}}) as api:
        key = api.client.headers.pop("x-api-key")
        refused = await api.client.post(f"/api/v1/run/echo?x-api-key={key}", json={})
        assert (refused.status_code, refused.json()["code"]) == (403, "api_key_missing")
        answer = await api.client.post("/api/v1/run/echo?x-api-key=bad", json={}, headers={"x-api-key": key})
        assert answer.status_code == 200


async def test_without_a_setting_nothing_is_limited(api: Api) -> None:
    response = await api.run("echo")
    assert not [name for name in response.headers if name.startswith("x-ratelimit")]


async def test_a_limit_is_told_with_every_answer_and_ends_in_429(tmp_path: Path) -> None:
    async with serving(tmp_path, config={"limits": {"runs_per_minute": 4}}) as api:
        left = [(await api.run("nothing")).headers["x-ratelimit-remaining"]]
        for query in ("", "?stream=true", "?shape=simple"):
            response = await api.run("echo", query=query)
            assert response.status_code == 200
            assert response.headers["x-ratelimit-limit"] == "4"
            assert 0 < int(response.headers["x-ratelimit-reset"]) <= 60
            left.append(response.headers["x-ratelimit-remaining"])
        assert left == ["3", "2", "1", "0"]
        for flow in ("nothing", "echo"):
            refused = await api.run(flow)
            assert refused.headers["x-ratelimit-remaining"] == "0"
        refused = await api.run("echo")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.json()["detail"] == "This token may start 4 runs a minute."
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert refused.headers["retry-after"] == refused.headers["x-ratelimit-reset"]
        _, other = await api.token()
        assert (await api.client.post("/api/v1/run/echo", json={}, headers=other)).status_code == 200


async def test_all_tokens_of_a_person_have_one_limit(tmp_path: Path) -> None:
    async with serving(tmp_path, config={"limits": {"runs_per_minute": 1}}) as api:
        answers = []
        for name in ("olga", "bob"):
            await api.runtime.sign_in.roster.add(name, role="author", by="tests")
            for _ in range(2):
                _, headers = await api.token(owner=name)
                answers.append(await api.client.post("/api/v1/run/echo", json={}, headers=headers))
        assert [answer.status_code for answer in answers] == [200, 429, 200, 429]


async def test_uses_that_cannot_be_counted_fail_no_run(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    broken = "CREATE TRIGGER broken BEFORE UPDATE ON tokens BEGIN SELECT RAISE(FAIL, 'not today'); END"
    await api.runtime.store.write(lambda connection: connection.exec_driver_sql(broken) and None)
    assert (await api.run("echo")).status_code == 200
    api.runtime.store._uses.flush()
    await api.runtime.store.write(tokens.count_uses, uses={})
    assert "a write nobody waited for failed" in caplog.text
    assert (await api.run("echo")).status_code == 200
