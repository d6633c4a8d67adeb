"""`python -m bench.releases CHECKOUT`: an older release and this one on one database, and what was seen of it.

On PostgreSQL both serve at once; on SQLite one after the other, there and back. People and programs talk to both in
turn: conversations go on, tokens and sign-ins work, and neither log has an error. Ends with 1 where something broke.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import requests

from bench.faults.stored import sqlite_of
from tests.api.api_flows import FLOWS
from tests.page_socket import Browser, open_page
from tests.people import CREDENTIALS
from tests.servers import ROOT, AppServer
from tests.store_databases import SERVER, empty_database

_TICKET = """
import sys
from pathlib import Path
from types import SimpleNamespace
from tests.tickets import ticket_for
config, cookies, member = sys.argv[1:]
print(ticket_for(SimpleNamespace(config_file=Path(config)), member, SimpleNamespace(cookies=cookies)))
"""
_TOKEN = """
import asyncio, sys
from pathlib import Path
from flowground.settings import Settings
from flowground.store import Store
try:
    from flowground.store.people import tokens
except ImportError:
    from flowground.store import tokens
config, name, owner = sys.argv[1:]
async def make():
    store = Store.open(Settings.load(Path(config)).database)
    try:
        made = store.write(tokens.create, name=name, owner=owner, flows=None, expires_at=None, by="member:" + owner)
        print((await made)[1])
    finally:
        store.close()
asyncio.run(make())
"""
_PERSON = "olga"
_PAGES = ("", "account", "api_access?flow=remember", "playground?flow=remember", "organization")
_APART = "what a person's token began on this release belongs to the person, of whom the older one knows nothing"
_TROUBLE = ("Traceback", "ERROR", "CRITICAL", "unexpected")


@dataclass
class Releases:
    """The two, of which `before` and `now` give one that serves."""

    older: AppServer
    this: AppServer
    are_beside_each_other: bool
    broken: list[str] = field(default_factory=list)

    def before(self) -> AppServer:
        return self._turn_to(self.older, self.this)

    def now(self) -> AppServer:
        return self._turn_to(self.this, self.older)

    def check(self, what: str, look: Callable[[], object], *, known: str = "") -> None:
        """Says whether it gives something true. `known` is why it cannot be otherwise."""
        try:
            is_good = bool(look())
            why = ""
        except Exception as error:  # noqa: BLE001 - whatever breaks is what is looked for
            is_good, why = False, f": {type(error).__name__}: {str(error)[:300]}"
        if not is_good and known:
            print(f"  known  {what} not: {known}", flush=True)
            return
        self.broken += [] if is_good else [what]
        print(f"  {'good  ' if is_good else 'BROKEN'} {what}{why}", flush=True)

    def _turn_to(self, wanted: AppServer, other: AppServer) -> AppServer:
        if not self.are_beside_each_other:
            other.stop()
        if wanted.process is None:
            wanted.start()
        return wanted


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.releases", description=__doc__)
    parser.add_argument("before", type=Path, metavar="CHECKOUT", help="the older release, set up alike")
    given = parser.parse_args()
    broken: list[str] = []
    for kind in ("sqlite", *(["postgresql"] if SERVER else [])):
        with tempfile.TemporaryDirectory() as name, empty_database(kind, Path(name)) as url:
            database = url if kind == "postgresql" else sqlite_of(Path(name))
            print(f"{kind}, {'beside each other' if kind == 'postgresql' else 'one after the other'}", flush=True)
            with _open(Path(name), database, given.before.resolve(), beside=kind == "postgresql") as releases:
                _talk(releases)
            broken += releases.broken
    print(f"{len(broken)} broken")
    return int(bool(broken))


@contextmanager
def _open(folder: Path, database: str, checkout: Path, *, beside: bool) -> Iterator[Releases]:
    """With the same people, flows and cookie key."""
    (folder / "data").mkdir(exist_ok=True)
    config = {"database": database, "cookie": {"key": "a key of both releases, long enough"}, **CREDENTIALS}
    older, this = (
        AppServer(folder / name, config=config, flows=FLOWS, checkout=where)
        for name, where in (("older", checkout), ("this", ROOT))
    )
    releases = Releases(older, this, beside)
    try:
        yield releases
    finally:
        older.stop()
        this.stop()
        for name, server in (("older", older), ("this", this)):
            found = [line for line in server.log.splitlines() if any(word in line for word in _TROUBLE)]
            releases.check(f"the log of {name} tells no trouble {found[:3] or ''}", partial(_is_empty, found))


def _is_empty(found: list[str]) -> bool:
    return not found


@dataclass(frozen=True, slots=True)
class _Met:
    """Tokens and browsers that one release gave."""

    of_all: str
    """An organization token."""
    of_one: str
    """A person's."""
    browser: Browser

    @classmethod
    def by(cls, server: AppServer, name: str) -> "_Met":
        return cls(server.token(name), _make_token(server, f"{_PERSON}s {name}"), _sign_in(server))


def _talk(releases: Releases) -> None:
    """Begins with the older release, and goes to this one, back, and there again."""
    server = releases.before()
    old = _Met.by(server, "of before")
    _go_on(releases, server, "before, by what the older one gave", old, "apple", [])

    server = releases.now()
    _go_on(releases, server, "now, by what the older one gave", old, "banana", ["apple"])
    new = _Met.by(server, "of now")
    _go_on(releases, server, "now, by what this one gave", new, "fig", [], session="new")
    releases.check("now: a stream is kept", lambda: _stream(server, old.of_all, "streamed", "melon"))
    releases.check("now: all pages open", lambda: _open_pages(server, new.browser))

    earlier = releases.before()
    _go_on(releases, earlier, "back, by what the older one gave", old, "cherry", ["apple", "banana"])
    _go_on(releases, earlier, "back, by what this one gave", new, "grape", ["fig"], session="new")
    releases.check("back: a stream is read", lambda: "melon" in _list(earlier, old.of_all))
    releases.check("back: all pages open", lambda: _open_pages(earlier, new.browser))
    releases.check("back: a conversation is deleted", lambda: _delete(earlier, old.of_all, "streamed"))

    again = releases.now()
    _go_on(releases, again, "again, by what the older one gave", old, "date", ["apple", "banana", "cherry"])
    _go_on(releases, again, "again, by what this one gave", new, "lime", ["fig", "grape"], session="new")
    releases.check("again: what was deleted is gone", lambda: "melon" not in _list(again, old.of_all))
    releases.check("again: all pages open", lambda: _open_pages(again, old.browser))
    releases.check("again: my data has all that was said", lambda: _has_data(again, old.browser))


def _go_on(
    releases: Releases, server: AppServer, where: str, met: _Met, word: str, earlier: list[str], *, session: str = "s"
) -> None:
    """Says the word by each way, and looks whether what was said earlier is known."""
    for name, token, conversation, known in (
        ("a token", met.of_all, f"all {session}", ""),
        ("a person's token", met.of_one, f"own {session}", _APART if session == "new" else ""),
    ):
        releases.check(f"{where}: {name} is answered", partial(_hears, server, token, conversation, word))
        releases.check(
            f"{where}: {name} goes on", partial(_hears, server, token, conversation, word, *earlier), known=known
        )
        releases.check(
            f"{where}: {name} lists what was said", partial(_lists, server, token, word, *earlier), known=known
        )
    releases.check(f"{where}: the chat goes on", partial(_read, server, met.browser, f"page {session}", word, *earlier))


def _ask_api(server: AppServer, token: str, session: str, word: str) -> str:
    answer = requests.post(
        f"{server.url}/api/v1/run/remember",
        json={"input_value": f"say {word}", "session_id": session},
        headers={"x-api-key": token},
        timeout=30,
    )
    answer.raise_for_status()
    return answer.text


def _hears(server: AppServer, token: str, session: str, word: str, *earlier: str) -> bool:
    """Whether the model is told the word, and what was said earlier: the scripted one repeats all of it."""
    said = _ask_api(server, token, session, word)
    return all(f"say {each}" in said for each in (word, *earlier))


def _stream(server: AppServer, token: str, session: str, word: str) -> bool:
    body: dict[str, Any] = {"input_value": f"say {word}", "session_id": session}
    address = f"{server.url}/api/v1/run/remember?stream=sse"
    return "event: end" in requests.post(address, json=body, headers={"x-api-key": token}, timeout=30).text


def _lists(server: AppServer, token: str, *words: str) -> bool:
    return set(words) <= _list(server, token)


def _list(server: AppServer, token: str) -> set[str]:
    """Words of the caller's own questions."""
    address = f"{server.url}/api/v1/monitor/messages"
    answer = requests.get(address, headers={"x-api-key": token}, timeout=30)
    answer.raise_for_status()
    return {said["text"].removeprefix("say ") for said in answer.json() if said["sender"] == "User"}


def _delete(server: AppServer, token: str, session: str) -> bool:
    address = f"{server.url}/api/v1/monitor/messages/session/{session}"
    return requests.delete(address, headers={"x-api-key": token}, timeout=30).status_code == 204


def _read(server: AppServer, browser: Browser, session: str, word: str, *earlier: str) -> bool:
    """As `_hears`, on a page."""
    with open_page(_bring(server, browser)) as page:
        shown = page.visit("playground", f"flow=remember&session={session}")
        if server.checkout == ROOT:
            shown += page.chat.spell()
            answer = page.say(f"say {word}")
        else:
            answer = page.say_by_script(f"say {word}")
    return all(f"say {each}".encode() in shown for each in earlier) and f"say {word}".encode() in answer


def _open_pages(server: AppServer, browser: Browser) -> bool:
    for address in _PAGES:
        name, _, query = address.partition("?")
        with open_page(_bring(server, browser)) as page:
            shown = page.visit(name, query)
        if b"Traceback" in shown or b"unexpected" in shown or len(shown) < 1_000:
            raise RuntimeError(f"{address}: {shown[:200]!r}")
    return True


def _has_data(server: AppServer, browser: Browser) -> bool:
    """Of the chats and of the person's tokens."""
    answer = _bring(server, browser).session.get(f"{server.url}/session/my-data", timeout=30)
    told: dict[str, set[str]] = {}
    for conversation in answer.json()["conversations"]:
        said = {message["text"].removeprefix("say ") for message in conversation["messages"]}
        told.setdefault(conversation["session"], set()).update(said)
    old, new = {"apple", "banana", "cherry", "date"}, {"fig", "grape", "lime"}
    wanted = {"page s": old, "own s": old, "page new": new, "own new": new}
    if missing := {
        name: words - told.get(name, set()) for name, words in wanted.items() if words - told.get(name, set())
    }:
        raise RuntimeError(f"without {missing}")
    return True


def _bring(server: AppServer, browser: Browser) -> Browser:
    """The browser at this server, its cookies with it."""
    other = Browser(server.url)
    other.session.cookies = browser.session.cookies
    return other


def _sign_in(server: AppServer) -> Browser:
    browser = Browser(server.url)
    ticket = _run(server, _TICKET, browser.cookies, _PERSON)
    answer = browser.post("/session/start", {"ticket": ticket})
    answer.raise_for_status()
    return browser


def _make_token(server: AppServer, name: str) -> str:
    """A person's, as the API access pane makes it."""
    return _run(server, _TOKEN, name, _PERSON)


def _run(server: AppServer, code: str, *arguments: str) -> str:
    """What the server's own release prints."""
    command = [sys.executable, "-c", code, str(server.config_file), *arguments]
    done = subprocess.run(
        command, cwd=server.checkout, env=server.environment, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.split()[-1]


if __name__ == "__main__":
    sys.exit(main())
