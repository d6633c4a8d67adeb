"""Where a request comes from: this computer or elsewhere, our own pages or somebody else's."""

import ipaddress
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

_FORWARDING = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x-original-host",
    }
)
_DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


def from_this_computer(scope: Scope) -> bool:
    """Loopback peer, loopback Host and no trace of a proxy: nothing else is sure to be the person at this computer.

    The Host check also stops pages of other sites whose name was pointed at 127.0.0.1 (DNS rebinding).
    """
    peer = scope.get("client")
    headers = Headers(scope=scope)
    hosts = headers.getlist("host")
    return (
        peer is not None
        and _is_loopback(str(peer[0]))
        and len(hosts) == 1
        and _is_loopback(_host_name(hosts[0]))
        and not _was_forwarded(headers.keys())
    )


def own_origin(scope: Scope, public_url: str | None) -> str | None:
    """The request's Origin when it is ours: the address it was sent to, or `public_url`. None for all others.

    A missing Origin is None too: browsers send it with every POST and websocket, so its absence is a program's doing.
    Schemes are not compared with Host's (a proxy may speak https for us), only host and port.
    """
    headers = Headers(scope=scope)
    origins = headers.getlist("origin")
    if len(origins) != 1:
        return None
    place = _place(origins[0])
    if place is None:
        return None
    scheme = urlsplit(origins[0]).scheme
    if public_url and place == _place(public_url) and scheme == urlsplit(public_url).scheme:
        return origins[0]
    hosts = headers.getlist("host")
    same = len(hosts) == 1 and place == _place(f"{scheme}://{hosts[0]}")
    return origins[0] if same else None


def _was_forwarded(names: Iterable[str]) -> bool:
    return any(name in _FORWARDING or name.startswith("x-forwarded") for name in names)


def _place(url: str) -> tuple[str, int] | None:
    """Host and port of an http address, None when it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.hostname, port or _DEFAULT_PORTS[parts.scheme]


def _host_name(host: str) -> str:
    place = _place(f"http://{host}")
    return place[0] if place and "/" not in host else ""


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
