"""What our code rests on inside of other packages: whether it is still so, said with the file that has to follow."""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from inspect import signature, unwrap
from types import CodeType
from typing import Any

Insides = Mapping[str, Callable[[], object]]
"""`FILE: what is so` -> whether it is."""


def require(insides: Insides, expected: str, made_for: Mapping[str, str]) -> None:
    """Fails where this one is not so. `made_for`: packages, and the versions in which it was."""
    file, _, what = expected.partition(": ")
    try:
        holds = insides[expected]()
    except AttributeError as error:
        holds, what = False, f"{what} ({error})"
    here = " with ".join(f"{package} {version(package)}" for package in made_for)
    assert holds, (
        f"Not so in {here}: {what}. flowground/shims/{file} rests on it and was made for "
        f"{' and '.join(made_for.values())}; see how it is done now."
    )


def names_in(function: Any) -> set[str]:
    """What a function, and those made in it, name: globals and attributes."""

    def walk(code: CodeType) -> Iterator[str]:
        yield from code.co_names
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from walk(constant)

    return set(walk(unwrap(function).__code__))


def takes(function: Callable[..., Any], *names: str) -> bool:
    return list(signature(function).parameters) == list(names)
