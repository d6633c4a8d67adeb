"""A browser as far as a raw client needs one: its cookies."""

from collections.abc import Mapping

import requests


class Browser:
    """Cookies of one browser, with those that every page load brings."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.get(f"{url}/_stcore/health", timeout=60)

    @property
    def cookies(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.session.cookies)

    def post(self, path: str, body: Mapping[str, str] | None = None, **headers: str) -> requests.Response:
        """As a page's script does it: with this server's Origin, unless `Origin=` says otherwise ("" leaves it out)."""
        named = {"Origin": self.url} | headers
        sent = {name: value for name, value in named.items() if value}
        return self.session.post(f"{self.url}{path}", json=dict(body or {}), headers=sent, timeout=60)
