"""Limits of a real server: a restart gives nothing back, and what another process lets in counts here too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.running import chat_flow
from tests.servers import AppServer, shipped_flow
from tests.store_databases import DATABASES, empty_database
from tests.test_limits_each import PRICES

FLOWS = {"echo": shipped_flow("echo"), "talk": chat_flow("scripted:echo")}


def run(server: AppServer, key: str, flow: str = "talk") -> requests.Response:
    url = f"{server.url}/api/v1/run/{flow}"
    return requests.post(url, json={"input_value": "hi"}, headers={"x-api-key": key}, timeout=20)


def find_left(server: AppServer, key: str) -> float:
    said = requests.get(f"{server.url}/api/v1/me", headers={"x-api-key": key}, timeout=20).json()
    (row,) = said["limits"]
    return float(row["left"])


@pytest.mark.parametrize(
    "limits",
    [{"runs_per_minute": 3}, {"tokens_per_day": 12}, {"money_per_day": 0.75}],
    ids=lambda limits: next(iter(limits)),
)
@pytest.mark.parametrize("kind", DATABASES)
def test_a_restart_gives_no_fresh_minute_or_day(kind: str, limits: Mapping[str, float], tmp_path: Path) -> None:
    with empty_database(kind, tmp_path) as url:
        config: dict[str, Any] = {"limits": {"person": dict(limits)}, "database": url, "prices": PRICES}
        server = AppServer(tmp_path, flows=FLOWS, config=config)
        most = next(iter(limits.values()))
        with server:
            key, other = server.token("t"), server.token("other")
            assert find_left(server, key) == most
            assert [run(server, key).status_code for _ in range(2)] == [200, 200]
        with server:
            assert find_left(server, key) == pytest.approx(most / 3)
            assert run(server, key).status_code == 200
            refused = run(server, key)
            code = "rate_limited" if "runs_per_minute" in limits else "daily_limit_reached"
            assert (refused.status_code, refused.json()["code"]) == (429, code)
            assert int(refused.headers["retry-after"]) > 0
            assert find_left(server, key) == 0
            assert run(server, other).status_code == 200


@pytest.mark.parametrize("kind", DATABASES)
def test_a_flows_limit_counts_the_runs_of_another_process(kind: str, tmp_path: Path) -> None:
    with empty_database(kind, tmp_path) as url:
        config: dict[str, Any] = {"limits": {"flow": {"runs_per_minute": 2}}, "database": url}
        one, two = (AppServer(tmp_path / name, flows=FLOWS, config=config) for name in ("one", "two"))
        with one, two:
            key = one.token("t")
            assert [run(one, key).status_code for _ in range(2)] == [200, 200]
            refused = run(two, key)
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            assert run(two, key, "echo").status_code == 200
