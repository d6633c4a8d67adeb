"""API Request: one call of an HTTP API."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal
from urllib.parse import quote, unquote, urlencode

import orjson
from pydantic import ConfigDict

from flowground.components import arguments as told
from flowground.components import variables
from flowground.components.arguments import ToldArgument, list_typed, read_typed, write_typed, write_value
from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.json_text import MOST_PARTS
from flowground.components.template import Variable, parse_template
from flowground.errors import RunError
from flowground.outgoing import Hosts, OutgoingAnswer, OutgoingCall
from flowground.values import ValueKind
from flowground.words import Schema, cut, end_sentence

_BEGINNING = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(?=[/?#]|$)")
_OURS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade", "expect"}
"""Headers that the client writes."""
_PLAIN = {"accept", "accept-language", "content-type", "user-agent"}
"""Headers that hold no secret."""
_SHORTEST_SECRET = 6
_SAID = 300
_ANSWERED = "The API answered with status"
_ADDRESS = re.compile(r"https?://\S+")
_IN_LINES = 20_000
"""Bytes of the longest body that is shown in lines: those of a long one, deep inside lists, would be hundreds of times
as long."""
_TEXTS = ("url_input", "query_params", "body")
encode = partial(quote, safe="")
"""For one part of an address: nothing in it ends the part."""


class APIRequest(Component):
    """Asks an HTTP API, and gives what it answers.

    Each `{name}` in `url_input`, `query_params` and `body` is a variable, and a field of that name gives its value,
    as text or reference; the model of an agent gives those that are left out. In the address they are
    percent-encoded, and stand behind the host only. The answer has `source`, `status_code` and `result`, which is
    JSON where the server says so, else text (the model of an agent is not told `source`, the address); from status
    400 on the component fails. `outgoing:` of config.yaml says which hosts may be asked.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]

    type_name: ClassVar[str] = "APIRequest"
    title: ClassVar[str] = "API Request"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"data": "data"}
    calls_out: ClassVar[bool] = True
    is_tool: ClassVar[bool] = True
    filled_inside: ClassVar[Collection[str]] = ("query_params", "body")

    url_input: str = declare(
        ...,
        "URL",
        "The address, with a host that is written out: `https://api.example.com/weather?city={city}`.",
        template=True,
        fixed=True,
        max_length=4_000,
    )
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"] = declare(
        "GET", "Method", "All but GET and HEAD count as writing.", protected=True, literal=True
    )
    headers: dict[str, str] = declare(
        {},
        "Headers",
        "Keys belong here: `{authorization: Bearer ${env:WEATHER_KEY}}`. Nobody is shown them.",
        secret=True,
        fixed=True,
    )
    query_params: dict[str, str | int | float | bool] = declare(
        {}, "Query Parameters", "What is added to the address.", protected=True, literal=True
    )
    body: dict[str, Any] | list[Any] | None = declare(None, "Body", "Sent as JSON.", protected=True, literal=True)
    body_data: dict[str, Any] | list[Any] | None = declare(
        None, "Body Data", "Sent as JSON in place of `body`, as it is; usually a reference.", protected=True
    )
    arguments: dict[str, ToldArgument] = declare(
        {},
        "Arguments",
        "What each variable is, for the model of an agent: `{city: Name of a city}`; "
        "`{pieces: {type: integer, description: How many}}` has a type, `integer`, `number` or `boolean`, and is sent "
        "as that where `{pieces}` is a whole value of `body`.",
        fixed=True,
    )
    timeout: int = declare(30, "Timeout", "Seconds; `outgoing.seconds` is the most.", ge=1, le=600, protected=True)
    follow_redirects: bool = declare(
        False, "Follow Redirects", "Of GET and HEAD, and to the same host only.", protected=True
    )

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")

    @classmethod
    def list_variables(cls, fields: Mapping[str, Any]) -> Mapping[str, Schema]:
        """Those of the address, the query and the body."""
        texts = [fields.get(field) for field in _TEXTS]
        return variables.describe_all(cls, texts, fields.get("arguments"), "{} of the request.")

    def read_arguments(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Those with a type as texts, which addresses hold; the body has them again as what they are."""
        return write_typed(self.arguments, given)

    def list_mistakes(self) -> Iterator[Mistake]:
        """A host that is not written out, headers that cannot be, and variables that nobody gives."""
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
        yield from variables.find_mistakes(self, fields, self.__pydantic_extra__)
        yield from told.find_mistakes(self.arguments)
        for name in self.arguments:
            if name not in self.list_variables(fields):
                yield Mistake("arguments", f"`arguments` names `{name}`, which is no variable here.", missing=name)

    def tell_model(self, output: Output) -> Output:
        """Without the address, which may be an internal one: a model might repeat it."""
        answer = {name: value for name, value in output.values["data"].items() if name != "source"}
        return replace(output, values={"data": answer})

    def tell_failure(self, message: str) -> str:
        """Without addresses, for the same reason; the API's own words are left as they are."""
        begin = _BEGINNING.match(self.url_input)
        if begin is None or message.startswith(_ANSWERED):
            return message
        host = re.escape(begin[1].strip("[]"))
        plain = _ADDRESS.sub("another address", message)
        return re.sub(rf"`?(?<![\w.-]){host}(?::\d+|(?![\w-]))`?", "the server", plain, flags=re.IGNORECASE)

    def show_call(self) -> str:
        """Method, address and body; headers hold keys."""
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
            given = self.__pydantic_extra__
            typed = {name: read_typed(name, given[name], schema) for name, schema in list_typed(self.arguments).items()}
            body = variables.fill(self.body, given, whole=typed)
        return None if body is None else orjson.dumps(body)

    def _write_url(self, given: Mapping[str, str]) -> str:
        before = parse_template(self.url_input.partition("?")[0])
        for part in before.parts:
            if isinstance(part, Variable) and not given[part.name].strip():
                raise RunError(f"`{part.name}` is empty.")
        url = str(variables.fill(self.url_input, given, encode)).partition("#")[0]
        address, mark, query = url.partition("?")
        if _leads_elsewhere(address):
            raise RunError("The address would lead to another path: `.` and `..` are no parts of one.")
        added = urlencode({key: write_value(variables.fill(value, given)) for key, value in self.query_params.items()})
        return f"{address}{'?' if mark or added else ''}{'&'.join(filter(None, (query, added)))}"

    def _read(self, answer: OutgoingAnswer) -> Any:
        data = answer.data
        for secret in self._list_secrets():  # some servers repeat what they are sent
            data = data.replace(secret.encode(), "…".encode())
        answer = OutgoingAnswer(answer.url, answer.status, answer.media_type, answer.charset, answer.location, data)
        if answer.status >= 400:
            said = cut(" ".join(answer.text.split()), _SAID)
            raise RunError(f"{_ANSWERED} {answer.status}{f': {end_sentence(said)}' if said else '.'}")
        result: Any = answer.text
        if answer.media_type.endswith("json"):
            if data.count(b"[") + data.count(b"{") > MOST_PARTS:
                raise RunError(f"The API answered with more than {MOST_PARTS:,} lists and objects.")
            with suppress(orjson.JSONDecodeError):  # else it is text
                result = orjson.loads(data)
        return {"source": answer.url, "status_code": answer.status, "result": result}

    def _list_secrets(self) -> set[str]:
        values = {value for name, value in self.headers.items() if name.lower() not in _PLAIN}
        words = values | {value.rpartition(" ")[2] for value in values}
        return {word for word in words if len(word) >= _SHORTEST_SECRET}


def _leads_elsewhere(address: str) -> bool:
    """Whether a server may read `.` or `..` as a part of it: some decode before they look, also twice, some take a
    backslash for a slash, some leave out what stands behind a semicolon."""
    for _ in range(3):
        address = unquote(address)
    return any(part.partition(";")[0].strip() in (".", "..") for part in re.split(r"[/\\]", address))
