"""Templates with `{variables}`, tools whose texts hold variables, and the components Prompt, Combine Text, Calculator
and Current Date.

Templates have no expressions: a value is put in unchanged, and not searched for variables.
"""

import ast
import itertools
import json
import math
import operator
import re
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import WithJsonSchema

from flowground.components.base import Component, Context, Mistake, Output, TakesTexts, ToolComponent, declare
from flowground.core.errors import RunError
from flowground.core.values import Record, ValueKind, check_length, find_zone, write_text
from flowground.core.words import Schema, describe_kind, list_names, show

LONGEST_TEMPLATE = 256_000
"""The most characters of a template itself."""
MOST_VARIABLES = 1_000
"""The most variables in one template; a repeated one counts each time."""
_SHORT = 1_000
"""The most characters of a template that is kept parsed."""
_VARIABLE = re.compile(r"(?<!\{)(?:\{\{)*(\{([^\W\d]\w*)\})")
"""A name in braces, after an even number of braces: each two of those are one plain brace."""
_TAKEN = ("type", "display_name", "step")
_TYPES = ("string", "integer", "number", "boolean")
_SCHEMA: Schema = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"enum": [*_TYPES]}, "description": {"type": "string"}},
            "additionalProperties": False,
        },
    ]
}
ArgumentHint = Annotated[Any, WithJsonSchema(_SCHEMA)]
"""A description, or `{type: integer, description: …}`; `find_argument_mistakes` validates it."""
_LONGEST = 1_000
"""The most characters of an expression."""
_MOST_DIGITS = 300
"""The most digits of a whole number: larger ones would block the process."""
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}


@dataclass(frozen=True, slots=True)
class Variable:
    """`{name}`; `offset` is its position in the template."""

    name: str
    offset: int

    def is_meant(self, values: Container[str]) -> bool:
        """Whether this is a variable: a name beyond ASCII without a value is plain text in braces."""
        return self.name in values or self.name.isascii()


@dataclass(frozen=True, slots=True)
class Template:
    """A template in parts, filled often."""

    parts: tuple[str | Variable, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Each variable once, at its first position."""
        first: dict[str, Variable] = {}
        for part in self.parts:
            if isinstance(part, Variable):
                first.setdefault(part.name, part)
        return tuple(first.values())

    def fill(self, values: Mapping[str, str]) -> str:
        """The filled text. Raises KeyError for a variable without a value, RunError for a text over `LONGEST`.

        A variable with letters beyond ASCII stays as plain text where it has no value: such names were added later, and
        older templates have them in plain braces.
        """
        parts = [
            part if isinstance(part, str) else values[part.name] if part.is_meant(values) else f"{{{part.name}}}"
            for part in self.parts
        ]
        check_length(sum(map(len, parts)))
        return "".join(parts)


def parse_template(source: str) -> Template:
    """Parses a template: `{name}` is a variable, `{{` and `}}` are single braces; other braces (JSON in a prompt) are
    plain text.

    Parsing stops after `MOST_VARIABLES` and one more: `find_template_mistakes` reports that.
    """
    return (_parse if len(source) <= _SHORT else _parse.__wrapped__)(source)


@lru_cache(128)
def _parse(source: str) -> Template:
    parts: list[str | Variable] = []
    end = 0
    for found in itertools.islice(_VARIABLE.finditer(source), MOST_VARIABLES + 1):
        if plain := source[end : found.start(1)]:
            parts.append(_unescape(plain))
        parts.append(Variable(found[2], found.start(1)))
        end = found.end()
    if plain := source[end:]:
        parts.append(_unescape(plain))
    return Template(tuple(parts))


def find_template_mistakes(template: str, field: str) -> Iterator[Mistake]:
    """The mistake of a template with too many variables."""
    places = [part for part in parse_template(template).parts if isinstance(part, Variable)]
    for one_more in places[MOST_VARIABLES:]:
        says = f"The template has more than {MOST_VARIABLES:,} variables, repeated ones counted."
        yield Mistake(field, says, offset=one_more.offset)


class RecordTemplate:
    """A template that several records fill: a name is replaced by the record's value, or by nothing without one."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._names = [variable.name for variable in template.variables]
        self._unmet = set(self._names)

    def fill(self, record: Record) -> str:
        """The filled text. Raises RunError for a text over `LONGEST`."""
        if self._unmet:
            self._unmet -= record.keys()
        values = {name: write_text(record[name], "data") if name in record else "" for name in self._names}
        return self._template.fill(values)

    def note_unmatched(self) -> str:
        """A note, after all records, about names that no record had, which are likely misspelt; "" for none."""
        if not self._unmet:
            return ""
        names = list_names(f"`{name}`" for name in self._names if name in self._unmet)
        return f"No record has {names}: nothing stands there in the template."


class VariablesTool(ToolComponent, TakesTexts):
    """A tool whose texts hold `{variables}`: each is a field of its own, set by the file or the model."""

    filled_inside: ClassVar[Collection[str]] = ()
    """The fields whose values may hold variables at any depth."""

    @classmethod
    def list_variables(cls, fields: Mapping[str, Any]) -> Mapping[str, Schema]:
        """The variables in the tool's texts, which a model may set, with type and description; `fields` are the
        file's."""
        raise NotImplementedError

    def read_arguments(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The model's arguments as values of the fields, those to which the field `arguments` gives a type as texts.
        Raises RunError with a sentence for the model."""
        return write_typed(getattr(self, "arguments", {}) if "arguments" in type(self).model_fields else {}, arguments)


def list_variables_inside(value: Any) -> Iterator[Variable]:
    """The variables of all texts inside a value, each once for a text."""
    if isinstance(value, str):
        yield from parse_template(value).variables
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from list_variables_inside(inner)


def describe_variables(kind: type[Component], texts: Iterable[Any], hints: Any, otherwise: str) -> Mapping[str, Schema]:
    """The variables in these values with their descriptions for a model, as `VariablesTool.list_variables` returns
    them.

    `hints` is the component's field `arguments`, valid or not; `otherwise` describes a variable that it leaves out, for
    example `{} of the query.`.
    """
    says = hints if isinstance(hints, dict) else {}
    found = (variable.name for text in texts for variable in list_variables_inside(text))
    names = (name for name in found if name not in kind.model_fields)
    return {name: build_schema(says.get(name), otherwise.format(f"`{name}`")) for name in names}


def fill_variables(
    value: Any,
    values: Mapping[str, str],
    escape: Callable[[str], str] = str,
    *,
    whole: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
    """The value with its variables filled in. A text that is only one variable in `whole` becomes that variable's
    value."""
    if isinstance(value, str):
        template = parse_template(value)
        if len(template.parts) == 1 and isinstance(only := template.parts[0], Variable) and only.name in whole:
            return whole[only.name]
        return template.fill({name: escape(text) for name, text in values.items()})
    if isinstance(value, dict):
        return {key: fill_variables(inner, values, whole=whole) for key, inner in value.items()}
    return [fill_variables(inner, values, whole=whole) for inner in value] if isinstance(value, list) else value


def find_variable_mistakes(
    component: Component, fields: Mapping[str, Any], otherwise: str = "let an agent call this"
) -> Iterator[Mistake]:
    """Variables in these fields without a value, or with a reserved name; and extra fields that are no variables."""
    given, declared = component.model_extra or {}, type(component).model_fields
    is_tool = isinstance(component, VariablesTool)
    inside = ((field, one) for field, value in fields.items() for one in list_variables_inside(value))
    known = {one.name: (field, one.offset) for field, one in inside if is_tool or one.is_meant(given)}
    for name, (field, offset) in known.items():
        if name in _TAKEN or name in declared:
            says = f"`{{{name}}}` cannot be a variable: `{name}` is a field of the component."
            yield Mistake(field, says, offset=offset)
        elif name not in given:
            says = f"Nobody gives the variable `{{{name}}}`: give `{name}: …` beside it, or {otherwise}."
            yield Mistake(field, says, missing=name, offset=offset)
    for name in given:
        if name not in known:
            yield Mistake(name, f"`{name}` is no field and no variable here.", choices=(*known, *declared))


def find_argument_mistakes(arguments: Mapping[str, Any]) -> Iterator[Mistake]:
    """Invalid descriptions of arguments."""
    for name, hint in arguments.items():
        said = {"type": "string", "description": hint} if isinstance(hint, str) else hint
        is_known = isinstance(said, dict) and said.get("type") in _TYPES and said.keys() <= {"type", "description"}
        if not (is_known and isinstance(said.get("description", ""), str)):
            says = f"`arguments` says of `{name}` in words what it is, or `{{type: integer, description: …}}`"
            yield Mistake("arguments", f"{says}; a type is string, integer, number or boolean.")


def list_typed(arguments: Mapping[str, Any]) -> Mapping[str, Schema]:
    """The arguments that have a type."""
    return {name: build_schema(hint, "") for name, hint in arguments.items() if isinstance(hint, dict)}


def write_typed(arguments: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The model's arguments: those with a type as texts, after a check, others unchanged. Raises RunError."""
    typed = list_typed(arguments)
    return {
        name: write_value(read_typed(name, value, typed[name])) if name in typed else value
        for name, value in values.items()
    }


def write_value(value: Any) -> str:
    """The value as text, in JSON's notation."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def build_schema(hint: Any, otherwise: str) -> Schema:
    """The JSON Schema of one argument: type and description; `otherwise` where it has no description."""
    if not isinstance(hint, dict):
        hint = {} if hint is None else {"description": str(hint)}
    return {"type": hint.get("type", "string"), "description": hint.get("description", otherwise)}


def read_typed(name: str, value: Any, schema: Schema) -> Any:
    """A text converted to the argument's type; a value of that type is unchanged. Raises RunError."""
    wanted = schema["type"]
    if wanted == "string" and isinstance(value, str):
        return value
    read = _read_json(value)
    if wanted == "integer" and isinstance(read, float) and read.is_integer() and abs(read) < 2**53:
        read = int(read)
    fits = {"integer": (int,), "number": (int, float), "boolean": (bool,)}.get(wanted, ())
    if not isinstance(read, fits) or (isinstance(read, bool) and wanted != "boolean"):
        raise RunError(f"`{name}` is {describe_kind(schema)}, not {show(value)}.")
    return read


class Prompt(TakesTexts):
    """A text made of a template.

    Each `{name}` in it is a variable, and a field of that name gives its value. `{{` and `}}` stand for single braces;
    other braces stay as they are.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"prompt": "text"}
    waits: ClassVar[bool] = False

    template: str = declare(
        ..., "Template", "The text, with `{variables}`.", multiline=True, template=True, max_length=LONGEST_TEMPLATE
    )

    def list_mistakes(self) -> Iterator[Mistake]:
        """Variables without a value, and fields that are no variables."""
        yield from find_template_mistakes(self.template, "template")
        otherwise = "double the braces where they are plain ones"
        yield from find_variable_mistakes(self, {"template": self.template}, otherwise)

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        return Output({"prompt": parse_template(self.template).fill(self.__pydantic_extra__)})


class CombineText(Component):
    """Two texts, one behind the other."""

    outputs: ClassVar[Mapping[str, ValueKind]] = {"combined_text": "text"}
    waits: ClassVar[bool] = False

    text1: str = declare("", "First Text", "The first text.", multiline=True)
    text2: str = declare("", "Second Text", "The second text.", multiline=True)
    delimiter: str = declare(" ", "Delimiter", "What stands between them.", multiline=True)

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        parts = (self.text1, self.delimiter, self.text2)
        check_length(sum(map(len, parts)))
        return Output({"combined_text": "".join(parts)})


class Calculator(ToolComponent):
    """Works out one arithmetic expression."""

    outputs: ClassVar[Mapping[str, ValueKind]] = {"result": "text"}
    waits: ClassVar[bool] = False

    expression: str = declare(
        ...,
        "Expression",
        "What is worked out: numbers, with `+ - * / // % **`, brackets, `pi`, `e`, and abs, ceil, cos, exp, floor, "
        "log, log10, max, min, round, sin, sqrt, tan.",
        max_length=_LONGEST,
        model_may_set=True,
    )

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        return Output({"result": work_out(self.expression)})


def work_out(expression: str) -> str:
    """The value in usual notation: whole numbers have no point. Raises RunError for what cannot be computed."""
    try:
        value = _evaluate(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError):
        raise RunError(f"This is no expression: {expression[:100]}") from None
    except ZeroDivisionError:
        raise RunError("The expression divides by zero.") from None
    except (ArithmeticError, TypeError, ValueError) as error:
        raise RunError(f"The expression has no value: {error}.") from None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


class CurrentDate(ToolComponent):
    """Tells the current date, weekday and time in a time zone.

    Without `timezone` it is that of the person who asks on a page; for programs `organization.timezone` of config.yaml.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"current_date": "text"}
    waits: ClassVar[bool] = False

    timezone: str = declare(
        "",
        "Timezone",
        "A time zone, such as `Europe/Berlin`; the asking person's when empty.",
        max_length=100,
        model_may_set=True,
    )

    async def run(self, context: Context) -> Output:
        name = self.timezone.strip() or context.time_zone
        zone = find_zone(name)
        if zone is None:
            raise RunError(f"There is no time zone {name[:100]!r}.")
        now = datetime.now(zone)
        return Output({"current_date": f"{now:%A, %Y-%m-%d %H:%M} ({name})"})


def _unescape(plain: str) -> str:
    return plain.replace("{{", "{").replace("}}", "}")


def _read_json(value: Any) -> Any:
    """The value as a JSON request holds it: whole numbers of at most 64 bits; None for what is no JSON."""
    try:
        return orjson.loads(value if isinstance(value, str) else json.dumps(value))
    except ValueError:
        return None


def _round(number: Any, digits: int | None = None) -> Any:
    """Rounds; Python would compute `10 ** -digits`, however large that is."""
    if digits is not None and abs(digits) > _MOST_DIGITS:
        raise RunError(f"A number is rounded to {_MOST_DIGITS} digits at most.")
    return round(number, digits)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs, "ceil": math.ceil, "cos": math.cos, "exp": math.exp, "floor": math.floor, "log": math.log,
    "log10": math.log10, "max": max, "min": min, "round": _round, "sin": math.sin, "sqrt": math.sqrt, "tan": math.tan,
}  # fmt: skip


def _evaluate(part: ast.AST) -> Any:
    match part:
        case ast.Constant(value=bool()):
            raise RunError("An expression is made of numbers.")
        case ast.Constant(value=int() | float() as number):
            return _check(number)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=sign, operand=inner) if type(sign) in _UNARY:
            return _UNARY[type(sign)](_evaluate(inner))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            first, second = _evaluate(left), _evaluate(right)
            if isinstance(sign, ast.Pow):
                _check_power(first, second)
            return _check(_BINARY[type(sign)](first, second))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _check(_FUNCTIONS[name](*(_evaluate(inner) for inner in args)))
    raise RunError("An expression is made of numbers, `+ - * / // % **`, brackets and the functions that are named.")


def _check(value: Any) -> Any:
    if isinstance(value, complex):
        raise RunError("The expression has no real value.")
    if isinstance(value, float) and not math.isfinite(value):
        raise RunError("The expression has no value: it is too large.")
    if isinstance(value, int) and value.bit_length() > _MOST_DIGITS * 4:
        raise RunError(f"A number of the expression has more than {_MOST_DIGITS} digits.")
    return value


def _check_power(base: Any, power: Any) -> None:
    if isinstance(base, int) and isinstance(power, int) and base.bit_length() * abs(power) > _MOST_DIGITS * 4:
        raise RunError(f"A number of the expression has more than {_MOST_DIGITS} digits.")
