"""Where a request comes from: its address, whether it is this computer's, and whether a page of ours sent it.

The address is the connection's other end, or what a proxy that config.yaml trusts says about it. It is settled once a
request, before anything else reads it (`Proxies.settle`). Afterwards `scope["client"]`, `scope["scheme"]` and the Host
header say what the proxy says, and `name_address` gives the name under which limits count somebody.
"""

import ipaddress
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Scope

_log = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HERE = "this computer"
"""The name of every loopback address."""
UNKNOWN = "unknown"

_FOR, _PROTO, _HOST = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"
_PROXY_HEADERS = frozenset({_FOR, _PROTO, _HOST})
_SECURE = {"http": "https", "ws": "wss"}
_IPV6_PREFIX = 64
"""Smallest IPv6 allocation (/64): counted as one address."""

_FORWARDING = frozenset((
    "akamai-origin-hop", "ali-cdn-real-ip", "cdn-loop", "client-ip", "client_ip", "do-connecting-ip", "forwarded",
    "forwarded-for", "front-end-https", "incap-client-ip", "oxygen-buyer-ip", "proxy-client-ip", "remote-addr",
    "surrogate-capability", "true-client-ip", "via", "wl-proxy-client-ip", "x-arr-log-id", "x-arr-ssl", "x-client-ip",
    "x-cloud-trace-context", "x-cluster-client-ip", "x-coming-from", "x-host", "x-nginx-proxy", "x-queue-start",
    "x-request-start", "x-scheme", "x-sucuri-clientip", "x-url-scheme", "x-varnish", "remote-user",
))  # fmt: skip
"""Headers that proxies, load balancers, content networks and platforms add, but no browser does."""
_FORWARDING_BEGINS = (
    "cf-", "cloudfront-", "fastly-", "fly-", "forwarded-", "x-akamai-", "x-amz-cf-", "x-amzn-", "x-appengine-",
    "x-azure-", "x-envoy-", "x-fd-", "x-fly-", "x-forward", "x-gateway-", "x-goog-", "x-ms-", "x-nf-", "x-original",
    "x-proxy", "x-proxied-", "x-real-", "x-remote-", "x-rewrite-", "x-served-", "x-vercel-", "x-waws-",
    "ngrok-", "tailscale-",
)  # fmt: skip
_DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


class Proxies:
    """`trusted_proxies` of config.yaml: the only ones whose `X-Forwarded-For`, `-Proto` and `-Host` count."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """`trusted`: addresses and networks, as text that `ipaddress` reads."""
        self._networks: Sequence[Network] = [ipaddress.ip_network(text, strict=False) for text in trusted]
        self._is_trusted = lru_cache(maxsize=1_024)(self._look_up)
        self._has_warned = False

    def settle(self, scope: Scope) -> None:
        """Sets the scope's client, scheme and Host from a trusted proxy's headers, in place: the access log reads the
        same scope. Warns once in a process of forwarding headers that are not trusted."""
        if not self._networks and self._has_warned:
            return
        sent = {name: value for name, value in scope["headers"] if name in _PROXY_HEADERS}
        if not sent:
            return
        peer = str((scope.get("client") or ("",))[0])
        if not self._is_trusted(peer):
            self._warn(peer)
            return
        chain = b",".join(value for name, value in scope["headers"] if name == _FOR).decode("latin-1")
        if client := self._find_first_stranger(chain):
            scope["client"] = (client, 0)
        if _read_last(sent.get(_PROTO, b"")).lower() == "https":
            scope["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])
        if host := _read_last(sent.get(_HOST, b"")):
            scope["headers"] = [item for item in scope["headers"] if item[0] != b"host"]
            scope["headers"].append((b"host", host.encode("latin-1")))

    def _find_first_stranger(self, chain: str) -> str | None:
        """The client: the first address from the right that is no trusted proxy. Each proxy appends its peer, and
        addresses further left may be forged. None if that entry is no address."""
        found = None
        for text in reversed(chain.split(",")):
            address = _read_ip(text)
            if address is None:
                return found
            found = str(address)
            if not self._is_trusted(found):
                return found
        return found

    def _look_up(self, text: str) -> bool:
        address = _read_ip(text)
        return address is not None and any(address in network for network in self._networks)

    def _warn(self, peer: str) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        address = _read_ip(peer)
        _log.warning(
            "A request from %s says in X-Forwarded-… where it comes from. That is ignored: all who come that way count "
            "as one address. If %s is your proxy, write trusted_proxies: [%s] in config.yaml; said once.",
            *(address or UNKNOWN,) * 3,
        )


def name_address(scope: Scope) -> str:
    """The name under which limits count somebody: an IPv4 address, an IPv6 network of 64 bits, or `HERE`.

    At most 43 characters; pages get the same text (`flowground.ui.page.bridge.read_address`).
    """
    client = scope.get("client")
    return _name(str(client[0])) if client else UNKNOWN


@lru_cache(maxsize=4_096)
def _name(text: str) -> str:
    address = _read_ip(text)
    if address is None:
        return UNKNOWN
    if address.is_loopback:
        return HERE
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)


def _read_last(value: bytes) -> str:
    return value.decode("latin-1").rpartition(",")[2].strip()


def _read_ip(text: str) -> Address | None:
    """Parses an address of a proxy: bare, with a port, in brackets; `::ffff:1.2.3.4` becomes the IPv4 address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])  # `%eth0` names an interface of another computer
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def is_from_this_computer(scope: Scope) -> bool:
    """Whether peer and Host are loopback and there is no header of a proxy: only then a person is at this computer.

    The Host check also stops pages of other sites whose name was pointed at 127.0.0.1 (DNS rebinding).
    """
    peer = scope.get("client")
    headers = Headers(scope=scope)
    hosts = headers.getlist("host")
    return (
        peer is not None
        and _is_loopback(str(peer[0]))
        and len(hosts) == 1
        and _is_loopback(_read_host_name(hosts[0]))
        # Cut before the cache: a name may have 64 kB, and the listed ones are shorter than this.
        and not any(_is_trace(name[:48]) for name in headers)
    )


def find_own_origin(scope: Scope, public_url: str | None) -> str | None:
    """The request's Origin if it is ours: `public_url`, or the address that the request was sent to. None otherwise.

    With a `public_url`, that address must be loopback: any other name that leads here may be an attacker's (DNS
    rebinding). Without one it is unknown which names are ours. A missing Origin is None too: browsers send it with
    every POST and websocket. Only host and port are compared, since a proxy may speak https for us.
    """
    headers = Headers(scope=scope)
    origins = headers.getlist("origin")
    if len(origins) != 1:
        return None
    place = _read_host_port(origins[0])
    if place is None:
        return None
    scheme = urlsplit(origins[0]).scheme
    if public_url and place == _read_host_port(public_url) and scheme == urlsplit(public_url).scheme:
        return origins[0]
    hosts = headers.getlist("host")
    is_ours = (
        len(hosts) == 1
        and place == _read_host_port(f"{scheme}://{hosts[0]}")
        and (not public_url or _is_loopback(place[0]))
    )
    return origins[0] if is_ours else None


def is_own_download(request: HTTPConnection) -> bool:
    """Whether a file is asked for by a page of ours or by hand, and not by another site, as `sec-fetch-site` has it."""
    return request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def is_https(scope: Scope, public_url: str | None) -> bool:
    """Whether the browser speaks https: with us, with a trusted proxy (`Proxies.settle`), or to a `public_url` that is
    https. False if it is unknown."""
    if scope["scheme"] in ("https", "wss"):
        return True
    if not public_url or not public_url.startswith("https:"):
        return False
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    return len(hosts) == 1 and len(hosts[0]) < 300 and _is_place(hosts[0], public_url)


@lru_cache(maxsize=64)
def _is_place(host: bytes, url: str) -> bool:
    """Whether this Host is that of the https address `url`; cached, since parsing takes 13 µs of every run."""
    return _read_host_port(f"https://{host.decode('latin-1')}") == _read_host_port(url)


@lru_cache(maxsize=1_024)
def _is_trace(name: str) -> bool:
    return name in _FORWARDING or name.startswith(_FORWARDING_BEGINS)


def _read_host_port(url: str) -> tuple[str, int] | None:
    """Host and port of an http address; None for any other text."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.hostname, port or _DEFAULT_PORTS[parts.scheme]


def _read_host_name(host: str) -> str:
    place = _read_host_port(f"http://{host}")
    return place[0] if place and "/" not in host else ""


@lru_cache(maxsize=256)
def _is_loopback(name: str) -> bool:
    address = None if "%" in name else _read_ip(name)
    return name == "localhost" or (address is not None and address.is_loopback)
