"""Passwords: the rules, bcrypt off the event loop, and the count of those that were tried.

A check takes a quarter of a second of CPU. It runs on two threads of its own, and only so many may wait: whoever
floods the form slows sign-ins, not the app. Tries are counted, so that guessing stays slow.
"""

import asyncio
import math
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import bcrypt

from flowground.core.errors import InvalidRequest, NotSignedIn
from flowground.core.words import count
from flowground.store import Store
from flowground.store.people import sign_ins
from flowground.store.sql import make_storable

MIN_CHARS = 8
MAX_BYTES = 72
"""bcrypt reads no more; saying so beats ignoring the rest."""
_THREADS = 2
_WAITING = 40
_HASH = re.compile(r"\$2[aby]\$\d\d\$.{53}\Z")

_NAME_CHARS = 254
# What else is counted stands beside the passwords in one table. No member's name holds a space, and no address is
# "access": so none of these is counted together with somebody's passwords.
_LINKS = "a link"
_ACTS = "access"

_COMMON = frozenset(Path(__file__).with_name("common_passwords.txt").read_text("utf-8").split("\n"))
"""Written for Flowground from what is generally known to be tried first; in lower case, none shorter than allowed."""

COST = 12
"""Of the hashes made here. Those of config.yaml may have another, and one step more is twice the work."""
LEAST_COST, MOST_COST = 4, 15
"""bcrypt knows none below; the highest takes two seconds a sign-in, for everybody."""
DUMMY_HASH = "$2b$12$OVLkffunPlLjyB8k6/mNceLFycMbReGMvNCAnIIAYKprDmzj.WgZK"
"""What a password is compared with where there is none: the same work, and never right."""


def clean_name(name: str) -> str:
    """As streamlit-authenticator reads a user name."""
    return name.lower().strip()


def clean_password(password: str) -> str:
    """As streamlit-authenticator reads a password. Raises InvalidRequest when it may not be one."""
    password = password.strip()
    if len(password) < MIN_CHARS:
        raise InvalidRequest(f"A password has at least {MIN_CHARS} characters.")
    if not password.isprintable():
        raise InvalidRequest("A password has no invisible control characters.")
    if password.lower() in _COMMON:
        raise InvalidRequest(
            "This password is too common: it is among the first that attackers try.",
            hint="Several words in a row are long and easy to remember.",
        )
    size = len(password.encode())
    if size > MAX_BYTES:
        raise InvalidRequest(
            f"A password has at most {MAX_BYTES} bytes; this one has {size}.",
            hint="bcrypt, which keeps it, reads no more. Letters beyond a–z take two to four bytes each.",
        )
    return password


Compare = Callable[[str, str], bool]
"""Whether a password of at most `MAX_BYTES` is the one of this hash."""


def compare_by_bcrypt(password: str, hashed: str) -> bool:
    return bcrypt.checkpw(password.encode(), hashed.encode())


def is_hash(password: str) -> bool:
    return _HASH.match(password) is not None


def read_cost(hashed: str) -> int:
    return int(hashed[4:6])


def make_dummy_hash(cost: int) -> str:
    """`DUMMY_HASH` of another cost."""
    return f"{DUMMY_HASH[:4]}{cost:02}{DUMMY_HASH[6:]}"


def work_up_to(cost: int, hashed: str) -> None:
    """Does the work that comparing with this hash lacks to one of `cost`, so that the time does not tell who exists.

    Each cost is twice the work of the one below, so those from the hash's own to one below `cost` add up to what lacks.
    """
    for missing in range(read_cost(hashed), cost):
        bcrypt.checkpw(b"", make_dummy_hash(missing).encode())


class Bcrypt:
    """Hashes and compares, a few at once."""

    def __init__(self) -> None:
        self.cost = COST
        """The highest of any member's: every comparison does as much work."""
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bcrypt")
        self._waiting = 0

    def start_hash(self, password: str) -> Future[str]:
        """The hash of a cleaned password, later."""
        return self._threads.submit(lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode())

    @contextmanager
    def wait_in_line(self) -> Iterator[None]:
        """For the length of one sign-in. Raises NotSignedIn (code `sign_in_busy`) when too many wait already."""
        if self._waiting >= _WAITING:
            raise NotSignedIn("Too many people are signing in right now. Try again in a moment.", code="sign_in_busy")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def matches(self, password: str, hashed: str | None, compare: Compare) -> bool:
        """To be awaited within `wait_in_line`. `hashed` None: there is nobody, and the work is the same."""
        return await asyncio.wrap_future(self._threads.submit(_compare, password, hashed, self.cost, compare))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _compare(password: str, hashed: str | None, cost: int, compare: Compare) -> bool:
    given = password.strip()
    # Longer than bcrypt reads: wrong, after the same work. A malformed hash compares as wrong, too.
    fits = hashed is not None and _can_be_one(given) and is_hash(hashed)
    compared = hashed if hashed is not None and fits else make_dummy_hash(cost)
    is_right = compare(given if fits else "", compared)
    work_up_to(cost, compared)
    return is_right and fits


def _can_be_one(password: str) -> bool:
    try:
        return len(password.encode()) <= MAX_BYTES
    except UnicodeEncodeError:  # half a letter
        return False


class Tries:
    """By name, as it was typed, and address. What is counted lies in the store, for all processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def count(self, name: str, address: str) -> float:
        """Counts a password for a name. 0: it may be looked at; else the seconds to wait."""
        return await self._store.write(
            sign_ins.begin_attempt, name=clean_attempt_name(name), address=address, in_all=sign_ins.IN_ALL
        )

    async def count_bad_link(self, address: str) -> None:
        """Counts a link that is not good. Raises NotSignedIn after too many from one address; links are too long to
        guess, so no number of addresses shuts them for all."""
        wait = await self._store.write(sign_ins.begin_attempt, name=_LINKS, address=address, per_name=None)
        if wait:
            raise describe_lockout(wait, "links")

    async def count_request(self, member: str) -> float:
        """Counts an access request. 0: it may be made; else the seconds to wait."""
        name = clean_attempt_name(f"{sign_ins.REQUESTS} {member}")
        return await self._store.write(sign_ins.begin_attempt, name=name, address=_ACTS, per_name=None)

    async def note_success(self, name: str, address: str) -> None:
        """Forgets the wrong tries of this name from here, and remembers the address as the member's."""
        await self._store.write(sign_ins.record_success, name=clean_attempt_name(name), address=address)

    async def find_wait(self, name: str, address: str) -> float:
        """Seconds until this name may be tried from here again; 0: now."""
        return await self._store.read(
            sign_ins.find_wait, name=clean_attempt_name(name), address=address, in_all=sign_ins.IN_ALL
        )


def clean_attempt_name(name: str) -> str:
    """No attempt is kept under more than a name's length."""
    return make_storable(clean_name(name)[:_NAME_CHARS])


def describe_lockout(wait: float, what: str = "passwords") -> NotSignedIn:
    """The error that says how long one has to wait; `wait` are seconds."""
    minutes = max(1, math.ceil(wait / 60))
    return NotSignedIn(f"Too many wrong {what}. Try again in {count(minutes, 'minute')}.", code="locked_out")
