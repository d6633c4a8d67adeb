"""Structured Output: a model's answer as data of a schema."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from flowground.components.base import NO_PORT, PORT_MARKS, Component, Context, Mistake, Output, declare, declare_model
from flowground.components.json_schema import find_wrong_schema
from flowground.components.shown_files import declare_files, show_files
from flowground.components.structured import ask_for_json
from flowground.messages import Message
from flowground.values import FileReference, Value, ValueKind

_WHOLE = "structured_output"
_INSTRUCTIONS = "You take facts out of a text. Leave out, or leave empty, what the text does not say; invent nothing."
_ROW_TYPES: Mapping[str, str] = {
    "str": "string", "text": "string", "string": "string", "int": "integer", "integer": "integer", "float": "number",
    "number": "number", "bool": "boolean", "boolean": "boolean", "dict": "object", "object": "object", "list": "array",
    "array": "array",
}  # fmt: skip
"""Langflow's words for a row's type, and the schema's."""
_RowType = Literal[
    "str", "text", "string", "int", "integer", "float", "number", "bool", "boolean", "dict", "object", "list", "array",
]  # fmt: skip


class SchemaRow(BaseModel):
    """One line of Langflow's table. `multiple`: a list of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = ""
    type: _RowType = "str"
    multiple: bool = False

    def write_schema(self) -> dict[str, Any]:
        """The JSON Schema of the property."""
        own: dict[str, Any] = {"type": _ROW_TYPES[self.type]}
        if self.description:
            own["description"] = self.description
        return {"type": "array", "items": own} if self.multiple else own


def read_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], str | None]:
    """The schema that Langflow's rows stand for, and what is wrong with them as a sentence; None where nothing is."""
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
    """A schema, or rows, as a schema, and what is wrong with the rows as a sentence; None where nothing is."""
    return (dict(given), None) if isinstance(given, Mapping) else read_rows(given)


def find_schema_mistake(schema: Mapping[str, Any], wrong: str | None) -> str | None:
    """Why it is no schema of an object, as a sentence; None where it is one."""
    if says := wrong or find_wrong_schema(schema):
        return f"`output_schema` is no schema: {says}"
    if schema.get("type") != "object" or not schema.get("properties"):
        return "`output_schema` is of an object: `{type: object, properties: {…}}`."
    return None


class StructuredOutput(Component):
    """What a model finds in a text, as data that fits a schema.

    Each property of the schema is an output, too: `${Invoice.total}`; one that the model leaves out is not taken. An
    answer that does not fit is sent back once, with the reason; then the component fails.
    """

    type_name: ClassVar[str] = "StructuredOutput"
    title: ClassVar[str] = "Structured Output"
    outputs: ClassVar[Mapping[str, ValueKind]] = {_WHOLE: "data"}
    calls_out: ClassVar[bool] = True
    shows_files: ClassVar[bool] = True

    model: str | None = declare_model()
    input_value: str = declare(..., "Input", "The text that is read, usually a reference.", multiline=True)
    files: tuple[FileReference, ...] | None = declare_files()
    system_prompt: str = declare(_INSTRUCTIONS, "Format Instructions", "What the model is told to do.", multiline=True)
    schema_name: str = declare("", "Schema Name", "What the object is, for the model.", literal=True)
    output_schema: dict[str, Any] | list[dict[str, Any]] = declare(
        ...,
        "Output Schema",
        "A JSON Schema of an object, or Langflow's rows: `name`, `type` (str, int, float, bool, dict), `description`, "
        "`multiple`.",
        fixed=True,
        kind="data",
    )
    max_tokens: int | None = declare(None, "Max Tokens", "The longest answer, in tokens.", ge=1, le=1_000_000)

    _schema: dict[str, Any] = PrivateAttr()
    _wrong: str | None = PrivateAttr(None)

    def model_post_init(self, context: Any) -> None:  # noqa: ARG002 - pydantic's argument
        self._schema, self._wrong = read_schema(self.output_schema)
        if self.schema_name:
            self._schema["title"] = self.schema_name

    def list_outputs(self) -> Mapping[str, ValueKind]:
        properties = self._schema.get("properties")
        if not isinstance(properties, Mapping):
            return self.outputs
        return {**self.outputs, **{name: _find_kind(part) for name, part in properties.items() if name != _WHOLE}}

    def find_record_names(self, port: str, taken: frozenset[str] | None) -> frozenset[str] | None:  # noqa: ARG002 - the contract's
        """The properties of a list's items."""
        part = self._schema.get("properties", {}).get(port)
        items = part.get("items") if isinstance(part, Mapping) else None
        if not isinstance(items, Mapping) or items.get("additionalProperties"):
            return None
        properties = items.get("properties")
        return frozenset(properties) if isinstance(properties, Mapping) and properties else None

    def spread(self, value: Value) -> Mapping[str, Value]:
        """The whole, and each property that is there."""
        values = {_WHOLE: value}
        for name in self.list_outputs() if isinstance(value, Mapping) else ():
            if value.get(name) is not None:
                values.setdefault(name, value[name])
        return values

    @property
    def may_leave_outputs(self) -> bool:
        return not set(self._schema.get("required", ())) >= set(self.list_outputs()) - {_WHOLE}

    def list_models(self) -> tuple[str | None, ...]:
        return (self.model,)

    def list_mistakes(self) -> Iterator[Mistake]:
        """A schema that is none, or whose properties cannot be outputs."""
        if says := find_schema_mistake(self._schema, self._wrong):
            yield Mistake("output_schema", says)
        for name in self.list_outputs():
            if not name or set(name) & PORT_MARKS:
                yield Mistake("output_schema", f"The property {name!r} cannot be an output: {NO_PORT}.")

    async def run(self, context: Context) -> Output:
        provider, model = context.models.resolve(self.model)
        shown = await show_files(
            context,
            provider,
            model,
            self.input_value,
            self.files,
            before=len(self.system_prompt) + len(str(self._schema)) if self.files else 0,
            max_tokens=self.max_tokens,
            goes_on=False,
        )
        said = Message("user", shown.content)
        asked = (Message("system", self.system_prompt), said) if self.system_prompt else (said,)
        options = {} if self.max_tokens is None else {"max_tokens": self.max_tokens}
        answer = await ask_for_json(context, self.model, asked, self._schema, **options)
        return Output(self.spread(answer.require()), answer.model, answer.usage, unseen=shown.unseen)


def _find_kind(schema: Any) -> ValueKind:
    """The kind of a property: text where it is a string, records where it is a list of objects."""
    if not isinstance(schema, Mapping):
        return "data"
    if schema.get("type") == "string":
        return "text"
    items = schema.get("items")
    if schema.get("type") == "array" and isinstance(items, Mapping) and items.get("type") == "object":
        return "records"
    return "data"
