"""Calculator: the value of an expression."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from flowground.components.base import Component, Context, Output, declare
from flowground.errors import RunError
from flowground.values import ValueKind

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


class Calculator(Component):
    """Works out one arithmetic expression."""

    type_name: ClassVar[str] = "Calculator"
    title: ClassVar[str] = "Calculator"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"result": "text"}
    is_tool: ClassVar[bool] = True
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
