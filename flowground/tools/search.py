"""Web search with the engine that config.yaml names."""

from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
from pydantic import Field, SecretStr, model_validator

from flowground.core.errors import RunError
from flowground.core.values import Record
from flowground.core.yaml_file import ConfigSection, check_http_address
from flowground.tools.outgoing import Outgoing, OutgoingAnswer, OutgoingCall
from flowground.tools.settings import Hosts

_ADDRESSES = {
    "tavily": "https://api.tavily.com",
    "brave": "https://api.search.brave.com",
    "duckduckgo": "https://html.duckduckgo.com",
}
_KEYED = ("tavily", "brave")
_LONGEST_QUERY = 400
_LONGEST_TEXT = 2_000


class SearchSettings(ConfigSection):
    """Whom Web Search asks."""

    provider: Literal["none", "searxng", "tavily", "brave", "duckduckgo"] = Field(
        "none", description="The search engine; with `none` Web Search finds nothing."
    )
    url: Annotated[str, check_http_address("https://search.example.com")] | None = Field(
        None, description="Its address, for `searxng`, which has to give `format=json`."
    )
    api_key: SecretStr | None = Field(None, description="Its key, for `tavily` and `brave`.")

    @model_validator(mode="after")
    def _check_provider(self) -> "SearchSettings":
        if self.provider == "searxng" and not self.url:
            raise ValueError("searxng needs `url`, the address of your instance")
        if self.provider in _KEYED and not self.api_key:
            raise ValueError(f"{self.provider} needs `api_key`")
        return self


class WebSearches:
    """Searches with the engine of the settings, through the guarded client."""

    def __init__(self, settings: SearchSettings, outgoing: Outgoing) -> None:
        self._settings = settings
        self._outgoing = outgoing

    async def search(self, query: str, count: int) -> Sequence[Record]:
        """At most `count` hits with `text`, `title`, `url` and `source`. Raises RunError."""
        settings = self._settings
        if settings.provider == "none":
            raise RunError("The web cannot be searched here.", hint="`search.provider` in config.yaml names an engine.")
        if not query.strip():
            return []
        answer = await self._outgoing.ask(self._write_call(query.strip()[:_LONGEST_QUERY], count))
        if answer.status != 200:
            raise RunError(f"The search engine answered with status {answer.status}.")
        try:
            hits = _read_page(answer) if settings.provider == "duckduckgo" else self._read_json(answer)
            return [hit for hit in hits if hit["url"].startswith(("https://", "http://"))][:count]
        except (ValueError, AttributeError, KeyError, TypeError):
            raise RunError("The search engine answered with something that is no list of hits.") from None

    def _write_call(self, query: str, count: int) -> OutgoingCall:
        settings = self._settings
        base = settings.url or _ADDRESSES[settings.provider]
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        method, path, content, headers = "GET", "", None, dict[str, str]()
        match settings.provider:
            case "tavily":
                method, path = "POST", "/search"
                content = orjson.dumps({"query": query, "max_results": count})
                headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            case "brave":
                path = f"/res/v1/web/search?{urlencode({'q': query, 'count': count})}"
                headers = {"X-Subscription-Token": key}
            case "searxng":
                path = f"/search?{urlencode({'q': query, 'format': 'json'})}"
            case _:
                path = f"/html/?{urlencode({'q': query})}"
        return OutgoingCall(method, base + path, Hosts(()), headers, content, is_trusted=True)

    def _read_json(self, answer: OutgoingAnswer) -> list[Record]:
        body = orjson.loads(answer.data)
        is_brave = self._settings.provider == "brave"
        hits = body.get("web", {}).get("results", []) if is_brave else body["results"]
        word = "description" if is_brave else "content"
        return [_make_hit(hit.get(word), hit.get("title"), hit.get("url")) for hit in hits]


def _make_hit(text: Any, title: Any, url: Any) -> Record:
    address, words = _tidy(url), _tidy(text)[:_LONGEST_TEXT]
    return {"text": words, "title": _tidy(title), "url": address, "source": address}


def _tidy(text: Any) -> str:
    return " ".join(str(text or "").split())


def _read_page(answer: OutgoingAnswer) -> list[Record]:
    reader = _HitReader()
    reader.feed(answer.text[:500_000])
    return [_make_hit(hit["text"], hit["title"], _unwrap(hit["url"])) for hit in reader.hits]


def _unwrap(url: str) -> str:
    """The target of DuckDuckGo's redirect link, which is in `uddg`."""
    return parse_qs(urlsplit(url).query).get("uddg", [url])[0]


class _HitReader(HTMLParser):
    """Reads the hits on DuckDuckGo's page without scripts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.hits: list[dict[str, str]] = []
        self._into: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values: Mapping[str, str | None] = dict(attributes)
        kinds = (values.get("class") or "").split()
        if tag == "a" and "result__a" in kinds:
            self.hits.append({"title": "", "text": "", "url": values.get("href") or ""})
            self._into = "title"
        elif "result__snippet" in kinds:
            self._into = "text"

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into and self.hits:
            self.hits[-1][self._into] += data
