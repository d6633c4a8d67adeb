"""The address of who asks: the connection's other end, or what a proxy that config.yaml trusts says about it.

Settled once a request, before anything else reads it. Afterwards `scope["client"]`, `scope["scheme"]` and the Host
header say what the proxy says, and `name_address` is the one name under which somebody is counted.
"""

import ipaddress
import logging
from collections.abc import Iterable, Sequence
from functools import lru_cache

from starlette.types import Scope

_log = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HERE = "this computer"
"""What `name_address` calls loopback, by whichever of its addresses."""
UNKNOWN = "unknown"

_FOR, _PROTO, _HOST = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"
_SAID_BY_PROXIES = frozenset({_FOR, _PROTO, _HOST})
_SECURE = {"http": "https", "ws": "wss"}
_IPV6_PREFIX = 64
"""What one household gets at least: whoever has it has 2^64 addresses to come from."""


class Proxies:
    """`trusted_proxies` of config.yaml: the only ones whose `X-Forwarded-For`, `-Proto` and `-Host` count."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """`trusted`: addresses and networks, as text that `ipaddress` reads."""
        self._networks: Sequence[Network] = [ipaddress.ip_network(text, strict=False) for text in trusted]
        self._is_trusted = lru_cache(maxsize=1_024)(self._look_up)
        self._has_warned = False

    def settle(self, scope: Scope) -> None:
        """Changes the scope in place, because the server's access log reads this very one. At most one warning a
        process says that somebody forwards without being trusted."""
        if not self._networks and self._has_warned:
            return
        said = {name: value for name, value in scope["headers"] if name in _SAID_BY_PROXIES}
        if not said:
            return
        peer = str((scope.get("client") or ("",))[0])
        if not self._is_trusted(peer):
            self._warn(peer)
            return
        chain = b",".join(value for name, value in scope["headers"] if name == _FOR).decode("latin-1")
        if client := self._find_first_stranger(chain):
            scope["client"] = (client, 0)
        if _read_last(said.get(_PROTO, b"")).lower() == "https":
            scope["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])
        if host := _read_last(said.get(_HOST, b"")):
            scope["headers"] = [item for item in scope["headers"] if item[0] != b"host"]
            scope["headers"].append((b"host", host.encode("latin-1")))

    def _find_first_stranger(self, chain: str) -> str | None:
        """Every proxy appends whom it heard; from the right, the first one we do not trust is who asks. What stands
        further left anybody may have written. None where that place holds no address."""
        found = None
        for text in reversed(chain.split(",")):
            address = _read(text)
            if address is None:
                return found
            found = str(address)
            if not self._is_trusted(found):
                return found
        return found

    def _look_up(self, text: str) -> bool:
        address = _read(text)
        return address is not None and any(address in network for network in self._networks)

    def _warn(self, peer: str) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        address = _read(peer)
        _log.warning(
            "A request from %s says in X-Forwarded-… where it comes from. That is ignored: all who come that way count "
            "as one address. If %s is your proxy, write trusted_proxies: [%s] in config.yaml; said once.",
            *(address or UNKNOWN,) * 3,
        )


def name_address(scope: Scope) -> str:
    """The name under which tries and limits count somebody: an IPv4 address, an IPv6 network of 64 bits, or `HERE`.

    At most 43 characters; the same text in the pages (`flowground.ui.page.caller.read_address`).
    """
    client = scope.get("client")
    return _name(str(client[0])) if client else UNKNOWN


@lru_cache(maxsize=4_096)
def _name(text: str) -> str:
    address = _read(text)
    if address is None:
        return UNKNOWN
    if address.is_loopback:
        return HERE
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)


def _read_last(value: bytes) -> str:
    return value.decode("latin-1").rpartition(",")[2].strip()


def _read(text: str) -> Address | None:
    """An address as proxies write it: bare, with a port, in brackets; `::ffff:1.2.3.4` is read as the IPv4 address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])  # `%eth0` names an interface of some other computer
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
