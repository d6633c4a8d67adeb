"""Calls of tools to other servers: which hosts and addresses are asked, how much is taken, and what is told of it."""

import asyncio
import ipaddress
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from flowground.core.errors import RunError
from flowground.providers import ProviderEntry, Providers
from flowground.settings import Settings
from flowground.tools.outgoing import Outgoing, OutgoingCall, read_url
from flowground.tools.settings import Hosts, OutgoingSettings, choose_addresses, explain_entry
from tests.chat_answers import ANSWER, CALL, WANTED
from tests.heartbeat import MOST
from tests.test_providers_ways import certificate, tunnels
from tests.test_settings import refusal
from tests.wire import Wire, whole, wire

HERE = {"private_networks": ["127.0.0.1"]}
ANY = Hosts(("*",))
PAGE = whole(b"Hello", headers="Content-Type: text/plain; charset=utf-8\r\n")


def host_of(server: Wire) -> Hosts:
    return Hosts((server.url.partition("//")[2],))


def moved(to: str, status: str = "302 Found") -> bytes:
    return whole(b"", status=status, headers=f"Location: {to}\r\n")


async def ask(url: str, hosts: Hosts = ANY, *, settings: dict[str, Any] = HERE, **more: Any) -> Any:
    outgoing = Outgoing(OutgoingSettings.model_validate(settings))
    try:
        return await outgoing.ask(OutgoingCall(more.pop("method", "GET"), url, hosts, **more))
    finally:
        await outgoing.close()


async def refuse(url: str, hosts: Hosts = ANY, **more: Any) -> str:
    with pytest.raises(RunError) as caught:
        await ask(url, hosts, **more)
    return caught.value.full_message


async def test_a_host_that_is_allowed_is_asked_and_its_answer_given_whole() -> None:
    async with wire([PAGE]) as server:
        answer = await ask(f"{server.url}/a?b=c#d", host_of(server), headers={"X-Key": "k"})
        assert (answer.status, answer.text, answer.media_type) == (200, "Hello", "text/plain")
        (asked,) = server.asked
        assert (asked.method, asked.path, asked.headers["x-key"]) == ("GET", "/a?b=c", "k")
        assert asked.headers["accept-encoding"] == "identity"


ALLOWED = """
    api.example.com api.example.com:443    API.example.com:8443 api.example.com:8443    * anything:80    [::1] ::1:80
    *.example.com api.example.com:443
"""
NOT_ALLOWED = """
    api.example.com api.example.com:8443    example.com api.example.com:443    example.com badexample.com:443
    *.example.com example.com:443    *.example.com badexample.com:443    * anything:22
"""


@pytest.mark.parametrize(("pairs", "is_allowed"), [(ALLOWED, True), (NOT_ALLOWED, False)])
def test_a_list_of_hosts_means_what_it_says(pairs: str, is_allowed: bool) -> None:
    for entry, address in zip(pairs.split()[::2], pairs.split()[1::2], strict=True):
        host, _, port = address.rpartition(":")
        assert explain_entry(entry) is None
        assert Hosts((entry,)).allow(host, int(port)) is is_allowed, entry


@pytest.mark.parametrize("entry", ["", "http://a.b", "a.b/c", "*x.com", "a.*.com", "a.b:0", "a.b:70000", "a b"])
def test_what_is_no_host_is_said(entry: str) -> None:
    assert explain_entry(entry)


async def test_no_other_host_is_asked_than_the_author_and_the_operator_allow() -> None:
    async with wire([PAGE]) as server:
        said = await refuse(server.url, Hosts(("api.example.com",)))
        assert said.endswith("is not among the hosts that may be asked here: api.example.com.")
        said = await refuse(server.url, host_of(server), settings=HERE | {"hosts": ["api.example.com"]})
        assert "`outgoing.hosts` of config.yaml" in said
        assert server.connections == 0
        assert await ask(server.url, host_of(server), settings=HERE | {"hosts": host_of(server).entries})


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1",
     "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::80ff:fffe",
     "fec0::1", "3fff::1", "192.88.99.1", "192.0.0.9", "168.63.129.16", "64:ff9b::a83f:8110"],
)  # fmt: skip
def test_no_address_of_a_private_network_is_chosen(address: str) -> None:
    assert choose_addresses([address, "93.184.216.34"], ()) == ["93.184.216.34"]
    assert choose_addresses(["2606:2800:220:1::1"], ()) == ["2606:2800:220:1::1"]


@given(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fc00::/7") | st.ip_addresses())
def test_only_public_addresses_are_chosen(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    chosen = choose_addresses([str(address)], ())
    assert not chosen or address.is_global
    network = ipaddress.ip_network(f"{address}/{address.max_prefixlen}")
    assert choose_addresses([str(address)], [network]) == [str(address)]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
async def test_loopback_is_reached_by_none_of_its_names(name: str) -> None:
    async with wire([PAGE]) as server:
        port = server.url.rpartition(":")[2]
        hosts = Hosts((f"{name}:{port}",))
        said = await refuse(f"http://{name}:{port}/", hosts, settings={})
        assert said.endswith("no address that may be asked (`outgoing.private_networks` names those of your own).")
        assert server.connections == 0


async def test_a_name_is_resolved_once_and_what_it_led_to_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the second answer would lead elsewhere, and nobody asks for it; nor for a private address."""
    async with wire([PAGE]) as server:
        port, resolved = int(server.url.rpartition(":")[2]), list[str]()
        url, hosts = f"http://api.example.com:{port}/", Hosts((f"api.example.com:{port}",))

        async def getaddrinfo(host: Any, port: int, **_: Any) -> list[Any]:
            resolved.append(host)
            address = "10.0.0.1" if len(resolved) == 2 else "127.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        assert (await ask(url, hosts)).text == "Hello"
        assert (resolved, server.asked[0].headers["host"]) == (["api.example.com"], f"api.example.com:{port}")
        for address in ("10.0.0.1", "127.0.0.1"):
            said = await refuse(url, hosts, settings={})
            assert "has no address that may be asked" in said
            assert address not in said
        assert (len(resolved), server.connections) == (3, 1)


@pytest.mark.parametrize(
    "url",
    ["ftp://a.b/", "file:///etc/passwd", "//a.b", "a.b", "http://", "http://ada@a.b/", "http://a:b@a.b/",
     "http://a.b\\@c.d/", "http://a.b/\n", "javascript:alert(1)", "http://a.b:x/", f"http://a.b/{'a' * 9_000}"],
)  # fmt: skip
async def test_what_is_no_plain_address_is_refused(url: str) -> None:
    if url == "http://a.b/\n":
        assert str(read_url(url)) == "http://a.b/"
        url = "http://a.b/\nc"
    assert "no address of http" in await refuse(url)


async def test_a_redirect_is_followed_on_the_same_host_only() -> None:
    async with wire([moved("/there")], [PAGE]) as server:
        hosts = host_of(server)
        assert (await ask(server.url, hosts)).status == 302
        server.asked.clear()
        answer = await ask(server.url, hosts, follows=True)
        assert (answer.text, answer.url) == ("Hello", f"{server.url}/there")
    away = "http://10.0.0.1/ http://other.example/x //other.example http://ada@127.0.0.1/ http://127.0.0.1:1/"
    for there in away.split():
        async with wire([moved(there)]) as server:
            more = Hosts((*host_of(server).entries, "*", "127.0.0.1:1"))
            assert "redirects to another host" in await refuse(server.url, more, follows=True)
            assert len(server.asked) == 1
    async with wire([moved("/again")]) as server:
        assert "more than 5 times" in await refuse(server.url, host_of(server), follows=True)
        assert len(server.asked) == 6


async def test_an_answer_is_bounded_in_size_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowground.tools.outgoing._MOST_BYTES", 1_024)
    async with wire([whole(b"a" * 1_025)], [whole(b"a" * 1_024)]) as server:
        assert "more than 1,024 bytes" in await refuse(server.url, host_of(server))
        assert len((await ask(server.url, host_of(server))).data) == 1_024
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    async with wire([endless, b"a", 60.0]) as server:
        assert "within 2 seconds" in await refuse(server.url, host_of(server), settings=HERE | {"seconds": 2})
        await server.left.wait()
    async with wire([60.0]) as server:
        assert "within 0.1 seconds" in await refuse(server.url, host_of(server), seconds=0.1)
    async with wire([whole(b"x", headers="Content-Encoding: gzip\r\n")]) as server:
        assert "compressed" in await refuse(server.url, host_of(server))


async def test_nothing_is_remembered_from_one_call_to_the_next() -> None:
    async with wire([whole(b"", headers="Set-Cookie: a=b\r\n")], [PAGE]) as server:
        outgoing = Outgoing(OutgoingSettings.model_validate(HERE))
        for _ in range(2):
            await outgoing.ask(OutgoingCall("GET", server.url, host_of(server)))
        assert server.connections == 1
        assert "cookie" not in server.asked[1].headers
        await outgoing.close()


async def test_a_proxy_is_asked_for_named_hosts_only_with_its_password_and_our_authority(tmp_path: Path) -> None:
    context = await certificate(tmp_path, "DNS:api.example")
    async with wire([PAGE], context=context) as server, tunnels(server) as (proxy, asked):
        through = {"proxy": proxy, "ca_file": tmp_path / "cert.pem"}
        said = await refuse("https://api.example/", settings=through)
        assert "`outgoing.hosts`" in said
        assert asked == []
        answer = await ask("https://api.example/", settings=through | {"hosts": ["api.example"]})
        assert answer.text == "Hello"
        assert asked[0].startswith("CONNECT api.example:443")
        assert "Basic YWRhOnNlY3JldA==" in asked[0]


async def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    async with wire([PAGE], context=await certificate(tmp_path, "IP:127.0.0.1")) as server:
        url = server.url.replace("http", "https")
        assert "is not trusted" in await refuse(url, host_of(server))
        answer = await ask(url, host_of(server), settings=HERE | {"ca_file": tmp_path / "cert.pem"})
        assert answer.text == "Hello"


async def test_models_are_asked_through_the_proxy_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = await certificate(tmp_path, "DNS:model.example")
    entry: Any = TypeAdapter(ProviderEntry).validate_python({"type": "openai", "base_url": "https://model.example/v1"})
    async with wire([ANSWER], context=context) as server, tunnels(server) as (proxy, asked):
        outgoing = OutgoingSettings.model_validate({"proxy": proxy, "ca_file": tmp_path / "cert.pem"})
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
        given: Any = {"default_model": "mine:x", "folder": tmp_path}
        models = Providers({"mine": entry}, egress=outgoing.egress, **given)
        provider, _ = models.resolve(None)
        assert await provider.complete(CALL) == WANTED
        assert asked[0].startswith("CONNECT model.example:443")
        await models.close()


def test_the_settings_are_checked_when_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, said in (
        ("outgoing: {hosts: ['http://a.b']}", "outgoing.hosts.0: a host is written api.example.com"),
        ("outgoing: {private_networks: [intranet]}", "must be addresses or networks"),
        ("outgoing: {proxy: proxy.example.com}", "must look like http://proxy.example.com:3128"),
        ("outgoing: {ca_file: nothing.pem}", "outgoing.ca_file: is no file of certificates in PEM"),
        ("outgoing: {seconds: 0}", "outgoing.seconds: should be a number above 0"),
        ("outgoing: {proxy: '${env:NO_SUCH_PROXY}'}", "the environment variable NO_SUCH_PROXY is not set"),
    ):
        assert said in refusal(tmp_path, text)
    monkeypatch.setenv("PROXY_WORD", "hush")
    (tmp_path / "config.yaml").write_text("outgoing: {proxy: 'http://ada:${env:PROXY_WORD}@proxy.example:3128'}")
    settings = Settings.load(tmp_path / "config.yaml")
    assert settings.outgoing.egress.proxy == "http://ada:hush@proxy.example:3128"
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    "charset",
    ["punycode", "idna", "undefined", "unicode_escape", "zlib", "nonsense", "utf-8", '"' + ";" * 20_000, "x" * 20_000],
    ids=lambda charset: charset[:9],
)
async def test_no_charset_keeps_the_process_or_fails(charset: str) -> None:
    page = whole(b"-" + b"a" * 300_000, headers=f"Content-Type: text/plain; charset={charset}\r\n")
    async with wire([page]) as server:
        answer = await ask(server.url, host_of(server))
    begun = time.process_time()
    assert (answer.charset, len(answer.text), answer.media_type) == ("utf-8", 300_001, "text/plain")
    assert time.process_time() - begun < 10 * MOST


@pytest.mark.parametrize(
    ("said", "charset"),
    [('text/html; charset="ISO-8859-1"', "iso8859-1"), ("text/html;charset=Shift_JIS", "shift_jis"), ("", "utf-8")],
)
async def test_a_text_is_read_in_its_servers_charset(said: str, charset: str) -> None:
    async with wire([whole(b"Hello", headers=f"Content-Type: {said}\r\n")]) as server:
        assert (await ask(server.url, host_of(server))).charset == charset
