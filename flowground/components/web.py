"""Components that call other servers over HTTP: API Request, URL and Web Search."""

import asyncio
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal
from urllib.parse import quote, unquote, urlencode

import orjson

from flowground.components.base import Context, Mistake, Output, Outside, ToolComponent, declare
from flowground.components.schemas import MOST_PARTS
from flowground.components.template import (
    ArgumentHint,
    Variable,
    VariablesTool,
    describe_variables,
    fill_variables,
    find_argument_mistakes,
    find_variable_mistakes,
    list_typed,
    parse_template,
    read_typed,
    write_value,
)
from flowground.core.errors import RunError
from flowground.core.values import ValueKind
from flowground.core.words import Schema, cut, end_sentence
from flowground.tools.outgoing import OutgoingAnswer, OutgoingCall, find_document, find_title, read_url
from flowground.tools.settings import Hosts, explain_entry

_BEGINNING = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(?=[/?#]|$)")
_OURS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade", "expect"}
"""Headers that the HTTP client writes itself."""
_PLAIN = {"accept", "accept-language", "content-type", "user-agent"}
"""Headers without secrets."""
_SHORTEST_SECRET = 6
_SAID = 300
_ANSWERED = "The API answered with status"
_ADDRESS = re.compile(r"https?://\S+")
_IN_LINES = 20_000
"""The most bytes of a body that is shown indented: a longer, deeply nested one would grow hundreds of times."""
_TEXTS = ("url_input", "query_params", "body")
encode = partial(quote, safe="")
"""Encodes one part of a URL: no character in it ends the part."""
_MOST = 10


class APIRequest(VariablesTool):
    """Asks an HTTP API, and gives what it answers.

    Each `{name}` in `url_input`, `query_params` and `body` is a variable; in the address it is percent-encoded, behind
    the host only. The answer has `source`, `status_code` and `result`, which is JSON where the server says so, else
    text; from status 400 on the component fails. `outgoing:` of config.yaml bounds which hosts may be asked.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"data": "data"}
    calls_out: ClassVar[bool] = True
    filled_inside: ClassVar[Collection[str]] = ("query_params", "body")

    url_input: str = declare(
        ...,
        "URL",
        "The address; its host is written out: `https://api.example.com/weather?city={city}`.",
        template=True,
        fixed=True,
        max_length=4_000,
    )
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"] = declare(
        "GET", "Method", "All but GET and HEAD count as writing.", protected=True, literal=True
    )
    headers: dict[str, str] = declare(
        {}, "Headers", "Keys belong here: `{authorization: Bearer ${env:WEATHER_KEY}}`.", secret=True, fixed=True
    )
    query_params: dict[str, str | int | float | bool] = declare(
        {}, "Query Parameters", "Added to the address.", protected=True, literal=True
    )
    body: dict[str, Any] | list[Any] | None = declare(None, "Body", "Sent as JSON.", protected=True, literal=True)
    body_data: dict[str, Any] | list[Any] | None = declare(
        None, "Body Data", "Sent as JSON in place of `body`; usually a reference.", protected=True
    )
    arguments: dict[str, ArgumentHint] = declare(
        {},
        "Arguments",
        "For an agent's model, what each variable is: `{city: Name of a city}`, or with a type (`integer`, "
        "`number`, `boolean`) `{pieces: {type: integer, description: How many}}`.",
        fixed=True,
    )
    timeout: int = declare(30, "Timeout", "Seconds, `outgoing.seconds` at most.", ge=1, le=600, protected=True)
    follow_redirects: bool = declare(
        False, "Follow Redirects", "Of GET and HEAD, to the same host only.", protected=True
    )

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")

    @classmethod
    def list_variables(cls, fields: Mapping[str, Any]) -> Mapping[str, Schema]:
        """The variables in the URL, the query and the body."""
        texts = [fields.get(field) for field in _TEXTS]
        return describe_variables(cls, texts, fields.get("arguments"), "{} of the request.")

    def list_mistakes(self) -> Iterator[Mistake]:
        """A host that is not written out, invalid headers, and variables without a value."""
        if not _BEGINNING.match(self.url_input):
            says = (
                "`url_input` begins with `https://` and a host that is written out: what is filled in stands behind it."
            )
            yield Mistake("url_input", says)
        for name, value in self.headers.items():
            if name.lower() in _OURS or not re.fullmatch(r"[A-Za-z0-9-]+", name):
                yield Mistake("headers", f"The header `{name}` cannot be set.")
            elif not value.isprintable() or not value.isascii():
                yield Mistake("headers", f"The header `{name}` has characters that no header has.")
        fields = {name: getattr(self, name) for name in _TEXTS}
        yield from find_variable_mistakes(self, fields)
        yield from find_argument_mistakes(self.arguments)
        for name in self.arguments:
            if name not in self.list_variables(fields):
                yield Mistake("arguments", f"`arguments` names `{name}`, which is no variable here.", missing=name)

    def show_result(self, output: Output) -> Output:
        """The output without the URL, which may be internal: a model might repeat it."""
        answer = {name: value for name, value in output.values["data"].items() if name != "source"}
        return replace(output, values={"data": answer})

    def show_failure(self, message: str) -> str:
        """The failure without URLs, which may be internal; the API's own words stay."""
        begin = _BEGINNING.match(self.url_input)
        if begin is None or message.startswith(_ANSWERED):
            return message
        host = re.escape(begin[1].strip("[]"))
        plain = _ADDRESS.sub("another address", message)
        return re.sub(rf"`?(?<![\w.-]){host}(?::\d+|(?![\w-]))`?", "the server", plain, flags=re.IGNORECASE)

    async def preview_call(self, outside: Outside) -> str:  # noqa: ARG002 - the contract's
        """Method, URL and body; headers may contain keys."""
        content = self._write_body()
        if content is not None and len(content) <= _IN_LINES:
            content = orjson.dumps(orjson.loads(content), option=orjson.OPT_INDENT_2)
        body = (content or b"").decode()
        return f"{self.method} {self._write_url(self.__pydantic_extra__)}\n{body}".rstrip()

    async def run(self, context: Context) -> Output:
        begin = _BEGINNING.match(self.url_input)
        if begin is None:
            raise RunError("The address has no host that is written out.")
        content = self._write_body()
        port = begin[2] or (":443" if self.url_input.startswith("https") else ":80")
        call = OutgoingCall(
            self.method,
            self._write_url(self.__pydantic_extra__),
            Hosts((begin[1] + port,)),
            ({} if content is None else {"Content-Type": "application/json"}) | self.headers,
            content,
            self.follow_redirects and not self.writes,
            self.timeout,
        )
        return Output({"data": self._read(await context.outside.ask(call))})

    def _write_body(self) -> bytes | None:
        body = self.body_data
        if body is None and self.body is not None:
            extra = self.__pydantic_extra__
            typed = {name: read_typed(name, extra[name], schema) for name, schema in list_typed(self.arguments).items()}
            body = fill_variables(self.body, extra, whole=typed)
        return None if body is None else orjson.dumps(body)

    def _write_url(self, values: Mapping[str, str]) -> str:
        before = parse_template(self.url_input.partition("?")[0])
        for part in before.parts:
            if isinstance(part, Variable) and not values[part.name].strip():
                raise RunError(f"`{part.name}` is empty.")
        url = str(fill_variables(self.url_input, values, encode)).partition("#")[0]
        address, mark, query = url.partition("?")
        if _leads_elsewhere(address):
            raise RunError("The address would lead to another path: `.` and `..` are no parts of one.")
        added = urlencode({key: write_value(fill_variables(value, values)) for key, value in self.query_params.items()})
        return f"{address}{'?' if mark or added else ''}{'&'.join(filter(None, (query, added)))}"

    def _read(self, answer: OutgoingAnswer) -> Any:
        data = answer.data
        for secret in self._list_secrets():  # some servers repeat what they are sent
            data = data.replace(secret.encode(), "…".encode())
        answer = OutgoingAnswer(answer.url, answer.status, answer.media_type, answer.charset, answer.location, data)
        if answer.status >= 400:
            excerpt = cut(" ".join(answer.text.split()), _SAID)
            raise RunError(f"{_ANSWERED} {answer.status}{f': {end_sentence(excerpt)}' if excerpt else '.'}")
        result: Any = answer.text
        if answer.media_type.endswith("json"):
            if data.count(b"[") + data.count(b"{") > MOST_PARTS:
                raise RunError(f"The API answered with more than {MOST_PARTS:,} lists and objects.")
            with suppress(orjson.JSONDecodeError):  # otherwise the body is text
                result = orjson.loads(data)
        return {"source": answer.url, "status_code": answer.status, "result": result}

    def _list_secrets(self) -> set[str]:
        values = {value for name, value in self.headers.items() if name.lower() not in _PLAIN}
        words = values | {value.rpartition(" ")[2] for value in values}
        return {word for word in words if len(word) >= _SHORTEST_SECRET}


class URL(ToolComponent):
    """Reads pages of the web, and gives their text.

    They are records with `text`, `url`, `title` and `source`. Redirects to another host are not followed.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"page_results": "records"}
    calls_out: ClassVar[bool] = True

    urls: str = declare(
        ...,
        "URLs",
        "Addresses of pages, one a line, ten at most. What fills a part of one is percent-encoded.",
        multiline=True,
        url=True,
        model_may_set=True,
        max_length=20_000,
    )
    allowed_hosts: list[str] = declare(
        ...,
        "Allowed Hosts",
        "Hosts of pages: `docs.example.com`, `*.example.com`, `docs.example.com:8443`, `*` for every public host.",
        fixed=True,
        min_length=1,
        max_length=100,
    )
    format: Literal["Text", "HTML"] = declare("Text", "Output Format", "HTML gives pages unchanged.")
    timeout: int = declare(30, "Timeout", "Seconds, `outgoing.seconds` at most.", ge=1, le=600)

    def list_mistakes(self) -> Iterator[Mistake]:
        """Invalid hosts."""
        for entry in self.allowed_hosts:
            if wrong := explain_entry(entry):
                yield Mistake("allowed_hosts", f"`{entry}` in `allowed_hosts`: {wrong}.")

    async def run(self, context: Context) -> Output:
        urls = [line.strip() for line in self.urls.splitlines() if line.strip()]
        if not 1 <= len(urls) <= _MOST:
            raise RunError(f"`urls` has {len(urls)} addresses; it takes 1 to {_MOST}.")
        hosts = Hosts(tuple(self.allowed_hosts))
        calls = (OutgoingCall("GET", url, hosts, follows=True, seconds=self.timeout) for url in urls)
        return Output({"page_results": await asyncio.gather(*(self._read_page(context, call) for call in calls))})

    async def _read_page(self, context: Context, call: OutgoingCall) -> dict[str, Any]:
        answer = await context.outside.ask(call)
        if answer.status >= 400:
            raise RunError(f"`{read_url(call.url).host}` answered with status {answer.status}.")
        text = await self._find_text(context, answer)
        return {"text": text, "url": answer.url, "title": find_title(answer), "source": answer.url}

    async def _find_text(self, context: Context, answer: OutgoingAnswer) -> str:
        ending = find_document(answer)
        if not answer.data.strip():
            return ""
        if ending and not (self.format == "HTML" and ending == ".html"):
            return (await context.outside.extract(answer.data, f"The page{ending}")).text
        if ending or answer.media_type.startswith("text/") or answer.media_type.endswith(("json", "xml")):
            return answer.text
        raise RunError(f"{answer.url[:200]} is {answer.media_type[:100]}, which has no text.")


class WebSearch(ToolComponent):
    """Searches the web, and gives the pages that fit best.

    They are records with `text`, `title`, `url` and `source`. `search:` of config.yaml says which engine is asked.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"results": "records"}
    calls_out: ClassVar[bool] = True

    query: str = declare("", "Search Query", "What is looked for.", max_length=4_000, model_must_set=True)
    max_results: int = declare(5, "Max Results", "How many pages at most.", ge=1, le=20)

    async def run(self, context: Context) -> Output:
        return Output({"results": await context.outside.search(self.query, self.max_results)})


def _leads_elsewhere(address: str) -> bool:
    """Whether a server might read `.` or `..` in the path: some decode before they check, even twice, some take a
    backslash for a slash, some ignore what follows a semicolon."""
    for _ in range(3):
        address = unquote(address)
    return any(part.partition(";")[0].strip() in (".", "..") for part in re.split(r"[/\\]", address))
