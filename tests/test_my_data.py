"""One's own data over HTTP: the cookie's person gets theirs, as a file, and nobody else anything."""

import pytest
import requests

from tests.acme import ACME
from tests.page_socket import Browser
from tests.servers import AppServer
from tests.tickets import open_browser

ADDRESS = "/session/my-data"


HOUSE = ACME


def test_a_member_gets_their_own_file_and_no_cache_keeps_it(house: AppServer) -> None:
    answer = open_browser(house, "bob").session.get(house.url + ADDRESS, timeout=10)
    assert (answer.status_code, answer.json()["name"], answer.json()["role"]) == (200, "bob", "member")
    assert answer.headers["content-disposition"] == 'attachment; filename="flowground-my-data.json"'
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")
    named = open_browser(house, "bob").session.get(f"{house.url}{ADDRESS}?name=augusta&member=augusta", timeout=10)
    assert named.json()["name"] == "bob"


@pytest.mark.parametrize("cookie", [None, "", "x", "fg_token"])
def test_nobody_gets_nothing(house: AppServer, cookie: str | None) -> None:
    cookies = {} if cookie is None else {"flowground": cookie}
    key = {"x-api-key": house.token("test")} if cookie == "fg_token" else {}
    answer = requests.get(house.url + ADDRESS, cookies=cookies, headers=key, timeout=10)
    assert (answer.status_code, answer.json()) == (403, {"detail": "Sign in first."})


def test_a_cookie_that_was_signed_out_gets_nothing(house: AppServer) -> None:
    browser = open_browser(house, "bob")
    kept = dict(browser.session.cookies)
    assert browser.post("/session/end").status_code == 200
    assert requests.get(house.url + ADDRESS, cookies=kept, timeout=10).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_other_sites_cannot_start_it(house: AppServer, site: str) -> None:
    browser = open_browser(house, "bob")
    answer = browser.session.get(house.url + ADDRESS, headers={"Sec-Fetch-Site": site}, timeout=10)
    assert (answer.status_code, "bob" in answer.text) == (403, False)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_only_reads(house: AppServer, method: str) -> None:
    browser = open_browser(house, "bob")
    assert browser.session.request(method, house.url + ADDRESS, timeout=10).status_code == 405


def test_the_local_owner_has_no_account(server: AppServer) -> None:
    assert Browser(server.url).session.get(server.url + ADDRESS, timeout=10).status_code == 403
