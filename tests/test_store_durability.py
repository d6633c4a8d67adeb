"""What was acknowledged survives `kill -9`; two processes may use one database."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowground.store import Store
from flowground.store.people import tokens
from flowground.store.runs import turns
from tests.stored import list_messages

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[1]


async def stored_ids(url: str) -> set[str]:
    store = Store.open(url)
    found = set()
    for number in range(16):
        here: dict[str, Any] = {"flow_id": "echo", "owner": "member:ada", "session_id": f"s{number}"}
        found |= {message.id for message in await store.read(list_messages, **here, limit=100_000)}
    store.close()
    return found


def written_until_killed(url: str, *, lines: int) -> set[str]:
    """Ids a writing process printed as acknowledged before it was killed."""
    with start("-m", "tests.store_writer_process", url) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        said += writer.stdout.readlines()
    return {line.strip() for line in said if line.endswith("\n")}  # the last line may be torn


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


async def test_every_acknowledged_message_survives_kill_9_ten_times_under_load(url: str) -> None:
    acknowledged: set[str] = set()
    for kill in range(10):
        acknowledged |= written_until_killed(url, lines=150 + 37 * kill)  # in another place of a batch each time
        assert acknowledged <= await stored_ids(url)
    assert len(acknowledged) > 2_000


CREATE_AND_REVOKE = """
import asyncio, sys
from flowground.store import Store
from flowground.store.people import tokens

async def main():
    store = Store.open(sys.argv[1])
    for number in range(30):
        token, secret = await store.write(
            tokens.create, name=f"n{number}", owner=None, flows=None, expires_at=None, by="command line"
        )
        print(secret, flush=True)
        sys.stdin.readline()
        await store.write(tokens.revoke, token_id=token.id, by="command line")
        print("revoked", flush=True)
    store.close()

asyncio.run(main())
"""


async def test_tokens_made_and_revoked_by_another_process_act_at_once(url: str) -> None:
    store = Store.open(url)
    with start("-c", CREATE_AND_REVOKE, url) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for number in range(30):
            secret = other.stdout.readline().strip()
            found = await store.read(tokens.find, secret=secret)
            assert found is not None
            assert found.name == f"n{number}"
            await store.write(turns.begin_turn, flow_id="f", owner="o", session_id="s", message=None)
            other.stdin.write("\n")
            other.stdin.flush()
            assert other.stdout.readline() == "revoked\n"
            assert await store.read(tokens.find, secret=secret) is None
    assert other.returncode == 0
    store.close()
