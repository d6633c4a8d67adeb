"""What streamlit-authenticator's form checks a password against: plain Python, one question to the database a name.

The authenticator (0.4.2) answers at once for a name it does not know and counts nothing for it. So every name is known
here; one that nobody has gets a hash that never fits, and costs and counts like the others.
"""

from collections.abc import Callable
from typing import Any

from flowground.sign_in.passwords import clean_name, dummy_hash, work_up_to
from flowground.sign_in.roster import Login

Ask = Callable[[str], Login | None]
"""Counts one try for a name; what to check against, or None for "shut out, unknown or without a password"."""


class FormCredentials(dict[str, Any]):
    """`{"usernames": …}` for `Authenticate(…)`, which would replace the mapping by a copy: that is ignored."""

    def __init__(self, ask: Ask, *, cost: int) -> None:
        """`cost`: the highest of any member's hash; every comparison does as much work."""
        super().__init__(usernames=_Names(ask, cost))

    def __setitem__(self, key: str, value: Any) -> None:
        if key != "usernames":
            super().__setitem__(key, value)


class _Names(dict[str, "_NameEntry"]):
    """Every name has an entry, made when it is first asked for; none is listed."""

    def __init__(self, ask: Ask, cost: int) -> None:
        super().__init__()
        self._ask = ask
        self._cost = cost

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __missing__(self, name: str) -> "_NameEntry":
        entry = self[name] = _NameEntry(clean_name(name), self._ask, self._cost)
        return entry

    def get(self, name: str, _default: Any = None) -> Any:
        return self[name]


class _NameEntry(dict[str, Any]):
    """One name's record. Reading its password is the try: it is counted before it is compared."""

    def __init__(self, name: str, ask: Ask, cost: int) -> None:
        super().__init__(email=None, first_name="", last_name="", name=name, roles=[])
        self._name = name
        self._ask = ask
        self._cost = cost

    def __getitem__(self, key: str) -> Any:
        if key != "password":
            return super().__getitem__(key)
        login = self._ask(self._name)
        if login is None:
            return dummy_hash(self._cost)
        work_up_to(self._cost, login.password)
        self.update(email=login.member.email, name=login.member.display_name, roles=[login.member.role])
        return login.password
