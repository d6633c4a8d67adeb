"""`GET /api/v1/me`: a token is told who it is and what is left, of itself and of nobody else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.api.calls import Api
from tests.api.serving import serving

pytestmark = pytest.mark.anyio


async def test_an_organization_token_is_told_what_it_is(api: Api) -> None:
    said = (await api.client.get("/api/v1/me")).json()
    token = said.pop("token")
    assert (token["name"], token["flows"], token["expires_at"]) == ("other", None, None)
    assert said == {"kind": "organization", "role": "admin", "member": None, "limits": []}


async def test_a_persons_token_is_told_whose_it_is(api: Api) -> None:
    await api.runtime.sign_in.roster.add("mia", role="author", display_name="Mia M.", by="tests")
    until = datetime.now(UTC) + timedelta(days=3)
    made, headers = await api.token(owner="mia", flows=("echo",), expires_at=until)
    said = (await api.client.get("/api/v1/me", headers=headers)).json()
    assert (said["kind"], said["role"]) == ("member", "author")
    assert said["member"] == {"id": "mia", "name": "mia", "display_name": "Mia M."}
    assert (said["token"]["id"], said["token"]["flows"]) == (made.id, ["echo"])
    assert said["token"]["expires_at"].startswith(f"{until:%Y-%m-%d %H:%M:%S}")
    assert headers["x-api-key"] not in str(said)


async def test_without_a_good_token_nothing_is_said(api: Api) -> None:
    for key in ({"x-api-key": ""}, {"x-api-key": "wrong"}):
        assert (await api.client.get("/api/v1/me", headers=key)).status_code == 403


async def test_two_tokens_of_one_person_share_what_is_left_and_asking_costs_nothing(tmp_path: Path) -> None:
    config = {"limits": {"person": {"runs_per_minute": 3}, "runs_per_minute": 5, "flow": {"runs_per_minute": 9}}}
    async with serving(tmp_path, config=config) as api:
        await api.runtime.sign_in.roster.add("mia", role="author", by="tests")
        (_, one), (_, two) = await api.token(owner="mia"), await api.token(owner="mia", flows=("echo", "gone"))
        for _ in range(3):
            first = (await api.client.get("/api/v1/me", headers=one)).json()["limits"]
            assert [(row["of"], row["what"], row["limit"], row["left"]) for row in first] == [
                ("person", "runs_per_minute", 3, 3)
            ]
        assert (await api.client.post("/api/v1/run/echo", json={}, headers=one)).status_code == 200
        assert (await api.client.post("/api/v1/run/echo", json={}, headers=two)).status_code == 200
        second = (await api.client.get("/api/v1/me", headers=two)).json()["limits"]
        assert [(row["of"], row["left"], row.get("flow_id")) for row in second] == [
            ("person", 1, None),
            ("flow", 7, "echo"),
        ]
        assert all(0 < row["resets_in"] <= 60 for row in second)
        answer = await api.client.post("/api/v1/run/echo", json={}, headers=one)
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, "0")
        refused = await api.client.post("/api/v1/run/echo", json={}, headers=two)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.json()["detail"] == "Your programs and pages may together start 3 runs a minute."
        assert "limits.person.runs_per_minute" in refused.json()["hint"]
        # An organization token counts for itself.
        own = (await api.client.get("/api/v1/me")).json()["limits"]
        assert [(row["of"], row["left"]) for row in own] == [("token", 3)]
