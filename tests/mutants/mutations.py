"""The faults: cosmic-ray's operators, and calls that are left out. Annotations and decorators' arguments are spared."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import ndiff

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator
from parso.tree import NodeOrLeaf

_COMPARISONS = (
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
    *("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt"),
)
_ARITHMETIC = ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "BitOr_BitAnd", "BitAnd_BitOr")
_OTHERS = (
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("NumberReplacer", "ExceptionReplacer", "RemoveDecorator", "ZeroIterationForLoop"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ReplaceUnaryOperator_Delete_Not"),
)
_NAMES = (
    *(f"ReplaceComparisonOperator_{name}" for name in _COMPARISONS),
    *(f"ReplaceBinaryOperator_{name}" for name in _ARITHMETIC),
    *_OTHERS,
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One file with one fault in it."""

    path: str
    line: int
    source: str
    code: str
    before: str
    after: str

    @property
    def change(self) -> str:
        """What was changed, the same wherever the line stands."""
        return f"{self.path}: {self.before} → {self.after or '(nothing)'}"


def make_mutants(path: str, source: str) -> Iterator[Mutant]:
    """Every mutant of a file once, in the operators' order."""
    seen = {source}
    for operator in (*(get_operator(f"core/{name}")() for name in _NAMES), _LeaveOutCall(), _TurnIn()):
        for occurrence in _occurrences(operator, source):
            try:
                code = mutate_code(source, operator, occurrence)
            except AttributeError:  # cosmic-ray 8.7 cannot replace `except a.b:`
                continue
            if code is not None and code not in seen:
                seen.add(code)
                yield _describe(path, source, code)


def _occurrences(operator: Operator, source: str) -> Iterator[int]:
    number = 0
    for node in ast_nodes(get_ast(source)):
        for _ in operator.mutation_positions(node):
            if not _is_spared(node):
                yield number
            number += 1


def _is_spared(node: NodeOrLeaf) -> bool:
    if node.type == "operator" and node.parent.type == "parameters":  # the `*` before keywords
        return True
    child, parent = node, node.parent
    while parent is not None:
        if parent.type in ("tfpdef", "decorator"):
            return True
        if parent.type == "annassign" and child is parent.children[1]:
            return True
        if parent.type == "funcdef" and child is parent.annotation:
            return True
        child, parent = parent, parent.parent
    return False


def _describe(path: str, source: str, code: str) -> Mutant:
    lines = [line for line in ndiff(source.splitlines(), code.splitlines()) if not line.startswith("? ")]
    line = next(number for number, text in enumerate(lines, 1) if text[0] != " ")
    before, after = (" ".join(text[2:].strip() for text in lines if text[0] == sign) for sign in "-+")
    return Mutant(path, line, source, code, before, after)


class _OurOperator(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """A fault that cosmic-ray does not know, one a node: what `new_code` gives stands in the node's place."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        if self.new_code(node) is not None:
            yield node.start_pos, node.end_pos

    def mutate(self, node: NodeOrLeaf, _: int) -> NodeOrLeaf:
        return parso.parse(f"{node.get_first_leaf().prefix}{self.new_code(node)}")

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()

    def new_code(self, node: NodeOrLeaf) -> str | None:
        raise NotImplementedError


class _LeaveOutCall(_OurOperator):
    """A statement that is only a call, awaited or not, does nothing."""

    def new_code(self, node: NodeOrLeaf) -> str | None:
        is_call = node.type in ("atom_expr", "power") and node.parent.type == "simple_stmt"
        return "pass" if is_call else None


class _TurnIn(_OurOperator):
    """`in` becomes `not in`, and the other way round."""

    def new_code(self, node: NodeOrLeaf) -> str | None:
        if node.type == "comp_op" and node.get_code().split() == ["not", "in"]:
            return "in"
        return "not in" if node.type == "keyword" and node.value == "in" and node.parent.type == "comparison" else None
