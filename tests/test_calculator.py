"""The calculator works out arithmetic, and nothing else."""

import pytest

from flowground.components.template import work_out
from flowground.core.errors import RunError


@pytest.mark.parametrize("said", ["1+2*3=7", "(1+2)*3=9", "7/2=3.5", "2**10=1024", "-3%5=2", "sqrt(16)=4", "pi=3.14"])
def test_the_calculator_calculates(said: str) -> None:
    expression, value = said.split("=")
    assert work_out(expression).startswith(value)


WRONG = (
    "1+ x __import__('os') 1/0 9**9**9 2**100000 'a'*3 max (-8)**0.5 10**200*10**200 round(5,-10**9) 1e308*10"
    " sqrt(-1) 1e308*10*[] True exp(1000) f(1) [1]"
)


@pytest.mark.parametrize("expression", ["", *WRONG.split(), "(" * 500 + "1" + ")" * 500])
def test_the_calculator_refuses_what_is_no_arithmetic(expression: str) -> None:
    with pytest.raises(RunError):
        work_out(expression)
