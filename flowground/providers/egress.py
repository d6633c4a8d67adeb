"""How calls leave this process, to any server: through which proxy, and which certificates are trusted."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class EgressSettings:
    """How calls leave this process, by `outgoing` of config.yaml.

    `proxy` replaces the environment's proxy, and is never used for loopback; `ca_file` has certificates that are
    trusted beside the usual ones. With `trust_env` False, proxies and certificates named by the environment are
    ignored.
    """

    proxy: str | None = None
    ca_file: Path | None = None
    trust_env: bool = True

    def find_proxy(self, url: httpx2.URL) -> str | None:
        """The proxy for a URL, else the environment's as httpx2 would find it; None where there is none."""
        if url.host in _LOOPBACK:
            return None
        if self.proxy or not self.trust_env:
            return self.proxy
        proxies = {} if proxy_bypass(url.host) else getproxies()
        return proxies.get(url.scheme) or proxies.get("all") or None

    def make_ssl(self) -> ssl.SSLContext:
        """The TLS context, which reads certificates: keep the result. Raises OSError where `ca_file` has none."""
        context = httpx2.create_ssl_context(trust_env=self.trust_env)
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        return context


USUAL_EGRESS = EgressSettings()


def convert_url(url: httpx2.URL) -> httpcore2.URL:
    """The URL in httpcore2's form."""
    return httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def read_proxy(address: str, context: ssl.SSLContext | None) -> httpcore2.Proxy:
    """A proxy from its URL in a setting or the environment, with the name and password in it."""
    proxy = httpx2.Proxy(address)
    secure = context if proxy.url.scheme == "https" else None
    return httpcore2.Proxy(convert_url(proxy.url), auth=proxy.raw_auth, ssl_context=secure)


def find_certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The certificate error inside a failed connection, however deep it was wrapped."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error
