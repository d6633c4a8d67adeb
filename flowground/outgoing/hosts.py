"""Which hosts may be asked, and which addresses behind their names."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from flowground.words import list_names

_ENTRY = re.compile(r"(\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_USUAL_PORTS = {80, 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL = tuple(map(ipaddress.ip_network, ("fec0::/10", "3fff::/20", "5f00::/16", "192.88.99.0/24")))
"""Networks that are nobody's on the Internet and that Python calls global: site-local ones, documentation, relays."""
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def explain_entry(entry: str) -> str | None:
    """What is wrong with an entry of a list of hosts; None where nothing is."""
    found = _ENTRY.fullmatch(entry.lower())
    if found and int(found[2] or 1) in range(1, 65_536):
        return None
    return (
        "a host is written api.example.com, api.example.com:8443, or *.example.com for all below it; `*` is every one"
    )


@dataclass(frozen=True, slots=True)
class Hosts:
    """A list of hosts, as `explain_entry` says. One without a port means ports 80 and 443."""

    entries: tuple[str, ...]

    def allow(self, host: str, port: int) -> bool:
        """Whether this host, in lower case, may be asked at this port."""
        return any(_match(entry.lower(), host, port) for entry in self.entries)

    def __str__(self) -> str:
        return list_names(self.entries)


def _match(entry: str, host: str, port: int) -> bool:
    found = _ENTRY.fullmatch(entry)
    if found is None or (port != int(found[2]) if found[2] else port not in _USUAL_PORTS):
        return False
    name = found[1].strip("[]")
    return name in ("*", host) or (name.startswith("*.") and host.endswith(name[1:]))


def choose_addresses(found: Iterable[str], private: Iterable[IPNetwork]) -> list[str]:
    """Those of a host's addresses that may be asked: public ones, and those of the networks in `private`."""
    networks = tuple(private)
    return [text for text in found if _is_open(ipaddress.ip_address(text.partition("%")[0]), networks)]


def _is_open(address: IPAddress, private: tuple[IPNetwork, ...]) -> bool:
    inner = _find_inner(address)
    if any(one in network for one in (address, inner) for network in private if one.version == network.version):
        return True
    if any(one in network for one in (address, inner) for network in _SPECIAL):
        return False
    return all(one.is_global and not (one.is_multicast or one.is_reserved) for one in (address, inner))


def _find_inner(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 one leads to; itself where it leads to none."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address
