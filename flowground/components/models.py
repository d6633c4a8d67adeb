"""Components that call a model: Language Model for a text, Structured Output for data that fits a schema."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from flowground.components.base import NO_PORT, PORT_MARKS, AsksModel, Component, Context, Mistake, Output, declare
from flowground.components.schemas import find_misfit, find_wrong_schema
from flowground.components.shown_files import declare_files, show_files
from flowground.core.errors import ModelNotReady, ProviderError, ProviderRefused
from flowground.core.events import ModelProgress
from flowground.core.messages import Message, Usage, sum_usage
from flowground.core.values import FileReference, Value, ValueKind
from flowground.providers.base import Completion, ModelCall, Provider

_OPTIONS = ("temperature", "max_tokens", "top_p", "seed")
_REFUSED = (400, 404, 415, 422, 501)
"""Statuses with which a server may answer that it does not support schemas."""
_SHOWN = 300
_IN_WORDS = """\
Answer with one JSON object and nothing else. It fits this JSON Schema:

{schema}"""
_AGAIN = """\
This is not what was wanted: {mistake}

Answer with the corrected JSON object and nothing else."""
_WHOLE = "structured_output"
_INSTRUCTIONS = "You take facts out of a text. Leave out, or leave empty, what the text does not say; invent nothing."
_ROW_TYPES: Mapping[str, str] = {
    "str": "string", "text": "string", "string": "string", "int": "integer", "integer": "integer", "float": "number",
    "number": "number", "bool": "boolean", "boolean": "boolean", "dict": "object", "object": "object", "list": "array",
    "array": "array",
}  # fmt: skip
"""Langflow's names for the types of a row, and those of JSON Schema."""
_RowType = Literal[
    "str", "text", "string", "int", "integer", "float", "number", "bool", "boolean", "dict", "object", "list", "array",
]  # fmt: skip


class LanguageModel(AsksModel):
    """The answer of a language model. The model's server is sent only what the flow sets."""

    outputs: ClassVar[Mapping[str, ValueKind]] = {"text_output": "text"}
    streams: ClassVar[bool] = True

    system_message: str = declare(
        "", "System Message", "The model's instructions; not sent when empty.", multiline=True
    )
    input_value: str = declare(..., "Input", "The question, usually a reference.", multiline=True)
    files: tuple[FileReference, ...] | None = declare_files()
    n_messages: int = declare(
        0,
        "Number of Chat History Messages",
        "How many earlier messages it sees, with their files where `files` is connected.",
        ge=0,
        le=1_000,
    )
    temperature: float | None = declare(
        None, "Temperature", "How freely the model answers; at 0 it takes the likeliest words.", ge=0, le=2
    )
    max_tokens: int | None = declare(None, "Max Tokens", "The longest answer, in tokens.", ge=1, le=1_000_000)
    top_p: float | None = declare(
        None, "Top P", "Only the likeliest words up to this sum of probabilities.", gt=0, le=1
    )
    seed: int | None = declare(None, "Seed", "The same seed asks for the same answer.", ge=0, le=2**31 - 1)
    stream: bool = declare(True, "Stream", "False gives the text whole, also to a request for a stream.")

    async def run(self, context: Context) -> Output:
        provider, model = context.models.resolve(self.model)
        shown = self.system_message, self.input_value, self.files
        messages, unseen = await show_files(
            context, provider.takes(model), *shown, n_messages=self.n_messages, max_tokens=self.max_tokens
        )
        options = {name: value for name in _OPTIONS if (value := getattr(self, name)) is not None}
        call = ModelCall(model, messages, options, retries=context.retries)
        end = await ask_model(context, provider, call, is_streamed=self.stream)
        return Output({"text_output": end.text}, end.model, end.usage, end.finish_reason, unseen=unseen)


async def ask_model(
    context: Context, provider: Provider, call: ModelCall, *, is_streamed: bool, before: str = ""
) -> Completion:
    """The answer, whose usage is counted. With a watcher and `is_streamed`, its pieces are emitted, the text behind
    `before`; otherwise only the progress of a model that is being fetched, which is awaited."""
    emit = context.emit
    if emit is None or not is_streamed:
        try:
            end = await provider.complete(call)
        except ModelNotReady:
            if emit is None:
                raise
        else:
            context.note_answer(end)
            return end
    async with aclosing(provider.stream(call)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Completion):
                context.note_answer(piece)
                return piece
            if before and isinstance(piece, str) and piece and is_streamed:
                await emit(before)
                before = ""
            if is_streamed or isinstance(piece, ModelProgress):
                await emit(piece)
    raise ProviderRefused(f"The model {call.model!r} ended its answer without an end.")


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A model's answer where JSON was required. `misfit` says what does not fit the schema; None where all does.

    `usage` counts both rounds.
    """

    value: Any
    misfit: str | None
    model: str
    usage: Usage | None

    def require(self) -> Any:
        """The value. Raises ProviderError where it does not fit: the failure is the model's, not the flow's."""
        if self.misfit:
            raise ProviderError(f"The model gave no JSON that fits, asked twice: {self.misfit}")
        return self.value


async def ask_for_json(
    context: Context, model: str | None, messages: tuple[Message, ...], schema: Mapping[str, Any], **options: float
) -> JsonAnswer:
    """A JSON object, after at most one round of repair. A server that refuses schemas gets the schema in the prompt."""
    provider, name = context.models.resolve(model)
    call = ModelCall(name, messages, options, schema, retries=context.retries)
    if not provider.takes(name).response_schema:
        call = _ask_in_words(call)
    try:
        end = await ask_model(context, provider, call, is_streamed=False)
    except ProviderRefused as error:
        if error.status not in _REFUSED or call.response_schema is None:
            raise
        call = _ask_in_words(call)
        end = await ask_model(context, provider, call, is_streamed=False)
    value, misfit = await asyncio.to_thread(read_json, end.text, schema)
    if misfit is None:
        return JsonAnswer(value, None, end.model, end.usage)
    correction = (Message("assistant", end.text), Message("user", _AGAIN.format(mistake=misfit)))
    again = await ask_model(context, provider, replace(call, messages=(*call.messages, *correction)), is_streamed=False)
    value, misfit = await asyncio.to_thread(read_json, again.text, schema)
    if misfit and again.finish_reason == "length":
        misfit += " It was cut by `max_tokens`."
    return JsonAnswer(value, misfit, again.model, sum_usage((end.usage, again.usage)))


def read_json(text: str, schema: Mapping[str, Any]) -> tuple[Any, str | None]:
    """The JSON value in a model's text, and what is wrong with it as a sentence; None where it fits."""
    begins, ends = text.find("{"), text.rfind("}")
    try:
        value = json.loads(text[begins : ends + 1] if 0 <= begins < ends else text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None, "it is no JSON."
    return value, find_misfit(value, schema)


class SchemaRow(BaseModel):
    """One line of Langflow's table. `multiple`: a list of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = ""
    type: _RowType = "str"
    multiple: bool = False

    def write_schema(self) -> dict[str, Any]:
        """The JSON Schema of the row's property."""
        own: dict[str, Any] = {"type": _ROW_TYPES[self.type]}
        if self.description:
            own["description"] = self.description
        return {"type": "array", "items": own} if self.multiple else own


def read_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], str | None]:
    """The schema that Langflow's rows describe, and what is wrong with the rows as a sentence; None where nothing
    is."""
    properties: dict[str, Any] = {}
    for number, given in enumerate(rows, 1):
        try:
            row = SchemaRow.model_validate(given)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            return {}, f"row {number}, `{'.'.join(map(str, detail['loc']))}`: {detail['msg']}."
        if row.name in properties:
            return {}, f"two rows have the name {row.name!r}."
        properties[row.name] = row.write_schema()
    return {"type": "object", "properties": properties, "required": [*properties]}, None


def read_schema(given: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], str | None]:
    """The schema from a schema or rows, and what is wrong with the rows as a sentence; None where nothing is."""
    return (dict(given), None) if isinstance(given, Mapping) else read_rows(given)


def find_schema_mistake(given: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str | None:
    """Why a schema or rows do not describe an object, as a sentence; None where they do."""
    schema, wrong = read_schema(given)
    if says := wrong or find_wrong_schema(schema):
        return f"`output_schema` is no schema: {says}"
    if schema.get("type") != "object" or not schema.get("properties"):
        return "`output_schema` is of an object: `{type: object, properties: {…}}`."
    return None


class StructuredOutput(AsksModel):
    """What a model finds in a text, as data that fits a schema.

    Each property of the schema is an output, too: `${Invoice.total}`; one that the model leaves out is not taken. An
    answer that does not fit is sent back once, then the component fails.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {_WHOLE: "data"}

    input_value: str = declare(..., "Input", "The text that is read, usually a reference.", multiline=True)
    files: tuple[FileReference, ...] | None = declare_files()
    system_prompt: str = declare(_INSTRUCTIONS, "Format Instructions", "The model's instructions.", multiline=True)
    schema_name: str = declare("", "Schema Name", "A name of the object, for the model.", literal=True)
    output_schema: dict[str, Any] | list[dict[str, Any]] = declare(
        ...,
        "Output Schema",
        "A JSON Schema of an object, or Langflow's rows: `name`, `type` (str, int, float, bool, dict), "
        "`description`, `multiple`.",
        fixed=True,
        kind="data",
    )
    max_tokens: int | None = declare(None, "Max Tokens", "The longest answer, in tokens.", ge=1, le=1_000_000)

    @cached_property
    def schema_of_answer(self) -> dict[str, Any]:
        """The JSON Schema of the answer."""
        schema, _ = read_schema(self.output_schema)
        return schema | ({"title": self.schema_name} if self.schema_name else {})

    def list_outputs(self) -> Mapping[str, ValueKind]:
        properties = self.schema_of_answer.get("properties")
        if not isinstance(properties, Mapping):
            return self.outputs
        return {**self.outputs, **{name: _find_kind(part) for name, part in properties.items() if name != _WHOLE}}

    def spread(self, value: Value) -> Mapping[str, Value]:
        """The whole value, and each property that it has."""
        values = {_WHOLE: value}
        for name in self.list_outputs() if isinstance(value, Mapping) else ():
            if value.get(name) is not None:
                values.setdefault(name, value[name])
        return values

    @property
    def may_leave_outputs(self) -> bool:
        return not set(self.schema_of_answer.get("required", ())) >= set(self.list_outputs()) - {_WHOLE}

    def list_mistakes(self) -> Iterator[Mistake]:
        """A wrong schema, or properties that cannot be outputs."""
        if says := find_schema_mistake(self.output_schema):
            yield Mistake("output_schema", says)
        for name in self.list_outputs():
            if not name or set(name) & PORT_MARKS:
                yield Mistake("output_schema", f"The property {name!r} cannot be an output: {NO_PORT}.")

    async def run(self, context: Context) -> Output:
        provider, model = context.models.resolve(self.model)
        shown = self.system_prompt, self.input_value, self.files
        asked, unseen = await show_files(
            context, provider.takes(model), *shown, max_tokens=self.max_tokens, schema=self.schema_of_answer
        )
        options = {} if self.max_tokens is None else {"max_tokens": self.max_tokens}
        answer = await ask_for_json(context, self.model, asked, self.schema_of_answer, **options)
        return Output(self.spread(answer.require()), answer.model, answer.usage, unseen=unseen)


def spread_value(component: Component, value: Value) -> Mapping[str, Value]:
    """The values of all ports of a component, given the first port's value, of which other ports may be parts."""
    if isinstance(component, StructuredOutput):
        return component.spread(value)
    return {next(iter(component.list_outputs())): value}


def _ask_in_words(call: ModelCall) -> ModelCall:
    """The call with the schema in the system message."""
    words = _IN_WORDS.format(schema=json.dumps(call.response_schema, ensure_ascii=False))
    said = [one.text for one in call.messages[:1] if one.role == "system"]
    system = Message("system", "\n\n".join((*said, words)))
    return replace(call, messages=(system, *call.messages[len(said) :]), response_schema=None)


def _refuse(word: str) -> None:
    raise ValueError(word)


def _find_kind(schema: Any) -> ValueKind:
    """The kind of a property: text for a string, records for a list of objects, else data."""
    if not isinstance(schema, Mapping):
        return "data"
    if schema.get("type") == "string":
        return "text"
    items = schema.get("items")
    if schema.get("type") == "array" and isinstance(items, Mapping) and items.get("type") == "object":
        return "records"
    return "data"
