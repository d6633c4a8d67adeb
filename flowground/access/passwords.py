"""Passwords: rules, bcrypt hashing off the event loop, and the count of attempts.

A check takes a quarter of a second of CPU. Checks run on two threads of their own and only so many may wait, so that a
flood of sign-ins slows sign-ins and not the app. Attempts are counted to keep guessing slow.
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
"""The bytes that bcrypt reads; a longer password is refused rather than cut."""
COST = 12
"""The bcrypt cost of hashes made here; one step more doubles the work. Hashes in config.yaml may have another."""
LEAST_COST, MOST_COST = 4, 15
"""The costs that config.yaml may use: bcrypt's lowest, and one that takes two seconds at every sign-in."""
DUMMY_HASH = "$2b$12$OVLkffunPlLjyB8k6/mNceLFycMbReGMvNCAnIIAYKprDmzj.WgZK"
"""The hash that a password is compared with where there is no member: the same work, and no password matches."""
Compare = Callable[[str, str], bool]
"""Whether a password of at most `MAX_BYTES` matches this hash."""
_THREADS = 2
_WAITING = 40
_HASH = re.compile(r"\$2[aby]\$\d\d\$.{53}\Z")
_NAME_CHARS = 254
# Links and access requests are counted in the same table as passwords. Their keys cannot be those of a member: no name
# has a space, and no address is "access".
_LINKS = "a link"
_ACTS = "access"


_COMMON = frozenset(Path(__file__).with_name("common_passwords.txt").read_text("utf-8").split("\n"))
"""Common passwords in lower case, each of at least `MIN_CHARS`; the list was written for Flowground."""


def clean_name(name: str) -> str:
    """The user name as streamlit-authenticator reads it: lower case, without spaces around it."""
    return name.lower().strip()


def clean_password(password: str) -> str:
    """The password as streamlit-authenticator reads it. Raises InvalidRequest when it breaks a rule."""
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


def compare_by_bcrypt(password: str, hashed: str) -> bool:
    return bcrypt.checkpw(password.encode(), hashed.encode())


def is_hash(password: str) -> bool:
    return _HASH.match(password) is not None


def read_cost(hashed: str) -> int:
    return int(hashed[4:6])


def make_dummy_hash(cost: int) -> str:
    """`DUMMY_HASH` with another cost."""
    return f"{DUMMY_HASH[:4]}{cost:02}{DUMMY_HASH[6:]}"


def work_up_to(cost: int, hashed: str) -> None:
    """Adds work to a comparison with `hashed` until it equals one of `cost`: timing does not reveal who exists.

    Each cost is twice the work of the one below; the costs from the hash's own to `cost` - 1 add up to the difference.
    """
    for missing in range(read_cost(hashed), cost):
        bcrypt.checkpw(b"", make_dummy_hash(missing).encode())


class Bcrypt:
    """Hashes and compares passwords on threads of its own."""

    def __init__(self) -> None:
        self.cost = COST
        """The highest cost of any member's hash: every comparison does as much work."""
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bcrypt")
        self._waiting = 0

    def start_hash(self, password: str) -> Future[str]:
        """Starts hashing a cleaned password."""
        return self._threads.submit(lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode())

    @contextmanager
    def wait_in_line(self) -> Iterator[None]:
        """Counts one sign-in as waiting. Raises NotSignedIn (code `sign_in_busy`) when too many wait already."""
        if self._waiting >= _WAITING:
            raise NotSignedIn("Too many people are signing in right now. Try again in a moment.", code="sign_in_busy")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def matches(self, password: str, hashed: str | None, compare: Compare) -> bool:
        """Whether the password matches; await it inside `wait_in_line`. `hashed` None: False, after the same work."""
        return await asyncio.wrap_future(self._threads.submit(_compare, password, hashed, self.cost, compare))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _compare(password: str, hashed: str | None, cost: int, compare: Compare) -> bool:
    password = make_storable(password.strip())
    # A password longer than bcrypt reads, or a malformed hash, is wrong after the same work.
    fits = hashed is not None and len(password.encode()) <= MAX_BYTES and is_hash(hashed)
    compared = hashed if hashed is not None and fits else make_dummy_hash(cost)
    is_right = compare(password if fits else "", compared)
    work_up_to(cost, compared)
    return is_right and fits


class Attempts:
    """Counts attempts by name (as typed) and address, in the store, for all processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def count(self, name: str, address: str) -> float:
        """Counts a password attempt for a name. 0: it may be checked; else the seconds to wait."""
        return await self._store.write(sign_ins.begin_attempt, name=clean_attempt_name(name), address=address)

    async def count_bad_link(self, address: str) -> None:
        """Counts an invalid link. Raises NotSignedIn after too many from one address.

        Links are too long to guess, so attempts from many addresses never lock links for everybody.
        """
        wait = await self._store.write(sign_ins.begin_attempt, name=_LINKS, address=address, is_password=False)
        if wait:
            raise locked_out_error(wait, "links")

    async def count_request(self, member: str) -> float:
        """Counts an access request. 0: it may be sent; else the seconds to wait."""
        name = clean_attempt_name(f"{sign_ins.REQUESTS} {member}")
        return await self._store.write(sign_ins.begin_attempt, name=name, address=_ACTS, is_password=False)

    async def note_success(self, name: str, address: str) -> None:
        """Forgets the wrong attempts of this name from this address, and remembers the address as the member's."""
        await self._store.write(sign_ins.record_success, name=clean_attempt_name(name), address=address)

    async def find_wait(self, name: str, address: str) -> float:
        """Seconds until this name may be tried from this address again; 0: now."""
        return await self._store.read(sign_ins.find_wait, name=clean_attempt_name(name), address=address)


def clean_attempt_name(name: str) -> str:
    """The name under which an attempt is counted, cut to the length of a name."""
    return make_storable(clean_name(name)[:_NAME_CHARS])


def locked_out_error(wait: float, what: str = "passwords") -> NotSignedIn:
    """The error after too many attempts; `wait` is in seconds."""
    minutes = max(1, math.ceil(wait / 60))
    return NotSignedIn(f"Too many wrong {what}. Try again in {count(minutes, 'minute')}.", code="locked_out")
