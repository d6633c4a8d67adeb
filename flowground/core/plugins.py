"""Tables of types that other packages extend by entry points.

The groups are `flowground.components` and `flowground.providers`. A package's code runs with all the rights of the
server: nothing isolates it.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import Distribution, EntryPoint, distributions
from types import MappingProxyType
from typing import Generic, TypeVar

from flowground.core.words import cut

T = TypeVar("T")
_log = logging.getLogger(__name__)
_SHOWN = 300


class TypeTable(Mapping[str, type[T]], Generic[T]):
    """Types by name: `own` first, then those of other packages, which are looked for when the table is first read.

    An entry point's name is its type's name. `check` raises ValueError for an object that cannot be such a type. A type
    that cannot be used, or whose name is taken, is left out, and the log names its package.
    """

    def __init__(self, group: str, own: Mapping[str, type[T]], check: Callable[[str, object], type[T]]) -> None:
        self.own = own
        self._group, self._check = group, check

    def __getitem__(self, name: str) -> type[T]:
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    @cached_property
    def _types(self) -> Mapping[str, type[T]]:
        types, packages = dict(self.own), dict.fromkeys(self.own, "Flowground")
        for package, entry in _find_entries(self._group):
            try:
                if first := packages.get(entry.name):
                    raise ValueError(f"{first} has a type of this name")
                types[entry.name] = self._check(entry.name, entry.load())
                packages[entry.name] = f"the package {package}"
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the code of others, which may do anything
                says = cut(" ".join(str(error).split()) or type(error).__name__, _SHOWN).rstrip(".")
                _log.warning("The package %s adds no %r to %s: %s.", package, entry.name, self._group, says)
        return MappingProxyType(types)


def _find_entries(group: str) -> list[tuple[str, EntryPoint]]:
    """The entry points of a group with their packages' names, sorted by package; a package found twice counts once."""
    # `importlib.metadata.entry_points` parses the file of every package: 40 ms for 120 packages, this takes 1 ms.
    named: dict[str, Distribution] = {}
    for package in distributions():
        if group in (package.read_text("entry_points.txt") or ""):
            named.setdefault(package.name, package)
    return [(name, one) for name, package in sorted(named.items()) for one in package.entry_points.select(group=group)]
