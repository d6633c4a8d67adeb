"""Texts: Prompt and Combine Text make one, Calculator and Current Date work one out."""

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from pydantic import ConfigDict, PrivateAttr

from flowground.components.base import Component, Context, Mistake, Output, ToolComponent, declare
from flowground.components.template import LONGEST_TEMPLATE, Template, find_template_mistake, parse_template
from flowground.errors import RunError
from flowground.values import ValueKind, check_length, find_zone


class Prompt(Component):
    """A text made of a template.

    Each `{name}` in it is a variable, and a field of that name gives its value, as text or reference. `{{` and `}}`
    stand for single braces; braces that enclose no plain name stay as they are. A name with letters beyond a to z is a
    variable where there is a field of that name.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]

    type_name: ClassVar[str] = "Prompt"
    title: ClassVar[str] = "Prompt"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"prompt": "text"}
    waits: ClassVar[bool] = False

    template: str = declare(
        ..., "Template", "The text, with `{variables}`.", multiline=True, template=True, max_length=LONGEST_TEMPLATE
    )

    _parsed: Template = PrivateAttr()

    def model_post_init(self, context: Any) -> None:  # noqa: ARG002 - pydantic's argument
        """Parses the template once; copies that fill variables keep the parts."""
        self._parsed = parse_template(self.template)

    def list_mistakes(self) -> Iterator[Mistake]:
        """Variables nobody gives, and fields that are no variables."""
        if mistake := find_template_mistake(self._parsed, "template"):
            yield mistake
            return
        given = self.__pydantic_extra__
        meant = (variable for variable in self._parsed.variables if variable.is_meant(given))
        variables = {variable.name: variable.offset for variable in meant}
        for name, offset in variables.items():
            if name in ("type", "display_name", *type(self).model_fields):
                message = f"`{{{name}}}` cannot be a variable: `{name}` is a field of every component."
                yield Mistake("template", message, offset=offset)
            elif name not in given:
                hint = f"give `{name}: …` beside the template, or write `{{{{{name}}}}}` for plain braces."
                yield Mistake(
                    "template", f"Nobody gives the variable `{{{name}}}`: {hint}", missing=name, offset=offset
                )
        for name in given.keys() - variables.keys():
            yield Mistake(
                name, f"`{name}` is no variable of the template.", choices=(*variables, *type(self).model_fields)
            )

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        return Output({"prompt": self._parsed.renew(self.template).fill(self.__pydantic_extra__)})


class CombineText(Component):
    """Two texts, one behind the other."""

    type_name: ClassVar[str] = "CombineText"
    title: ClassVar[str] = "Combine Text"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"combined_text": "text"}
    waits: ClassVar[bool] = False

    text1: str = declare("", "First Text", "What comes first, usually a reference.", multiline=True)
    text2: str = declare("", "Second Text", "What comes behind it, usually a reference.", multiline=True)
    delimiter: str = declare(" ", "Delimiter", "What stands between the two.", multiline=True)

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        parts = (self.text1, self.delimiter, self.text2)
        check_length(sum(map(len, parts)))
        return Output({"combined_text": "".join(parts)})


_LONGEST = 1_000
"""Characters of an expression."""
_MOST_DIGITS = 300
"""Of a whole number: larger ones would keep everybody waiting."""
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


def _round(number: Any, digits: int | None = None) -> Any:
    """Python works out `10 ** -digits` for it, however large that is."""
    if digits is not None and abs(digits) > _MOST_DIGITS:
        raise RunError(f"A number is rounded to {_MOST_DIGITS} digits at most.")
    return round(number, digits)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs, "ceil": math.ceil, "cos": math.cos, "exp": math.exp, "floor": math.floor, "log": math.log,
    "log10": math.log10, "max": max, "min": min, "round": _round, "sin": math.sin, "sqrt": math.sqrt, "tan": math.tan,
}  # fmt: skip
_CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}


class Calculator(ToolComponent):
    """Works out one arithmetic expression."""

    type_name: ClassVar[str] = "Calculator"
    title: ClassVar[str] = "Calculator"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"result": "text"}
    waits: ClassVar[bool] = False

    expression: str = declare(
        ...,
        "Expression",
        "What is to be worked out: its own numbers, with `+ - * / // % **`, brackets, `pi`, `e`, and abs, ceil, cos, "
        "exp, floor, log, log10, max, min, round, sin, sqrt, tan.",
        max_length=_LONGEST,
        model_may_set=True,
    )

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        return Output({"result": work_out(self.expression)})


def work_out(expression: str) -> str:
    """The value as people write it: a whole number without a point. Raises RunError for what is none."""
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


class CurrentDate(ToolComponent):
    """Tells the current date, weekday and time in a time zone.

    Without `timezone` it is that of who asks on a page, as their browser says; for programs, or where it is not known,
    `organization.timezone` of config.yaml.
    """

    type_name: ClassVar[str] = "CurrentDate"
    title: ClassVar[str] = "Current Date"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"current_date": "text"}
    waits: ClassVar[bool] = False

    timezone: str = declare(
        "",
        "Timezone",
        "A name of the time zone database, such as `Europe/Berlin` or `America/New_York`; that of who asks when empty.",
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
