"""Conditional Router: one of two ways, by a comparison."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.patterns import WrongPattern, matches
from flowground.errors import RunError
from flowground.values import ValueKind

_Operator = Literal[
    "equals",
    "not equals",
    "contains",
    "starts with",
    "ends with",
    "regex",
    "less than",
    "less than or equal",
    "greater than",
    "greater than or equal",
]


class ConditionalRouter(Component):
    """Compares a text and passes it on: to `true_result` where the comparison holds, else to `false_result`.

    What refers to the other of the two is skipped.
    """

    type_name: ClassVar[str] = "ConditionalRouter"
    title: ClassVar[str] = "If-Else"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"true_result": "text", "false_result": "text"}
    branches: ClassVar[bool] = True
    waits: ClassVar[bool] = False

    input_text: str = declare(..., "Text Input", "What is compared, usually a reference.", multiline=True)
    operator: _Operator = declare(
        "equals",
        "Operator",
        "How it is compared. `regex`: whether the text begins with what the pattern says, in Rust's dialect "
        "(`(?s).*word` finds a word in several lines). *Less* and *greater* compare numbers, and do not hold where one "
        "of the two is none, `2 000 EUR` among them: that goes to `false_result`.",
    )
    match_text: str = declare(..., "Match Text", "What it is compared with; for `regex` the pattern.")
    case_sensitive: bool = declare(True, "Case Sensitive", "Whether `A` is not `a`.")
    true_case_message: str = declare(
        "",
        "Case True",
        "What is passed on instead of the text where the comparison holds; it may refer to others, `Urgent: ${Read}`.",
        multiline=True,
    )
    false_case_message: str = declare(
        "", "Case False", "What is passed on instead of the text where it does not.", multiline=True
    )

    def list_mistakes(self) -> Iterator[Mistake]:
        """A pattern that cannot be read."""
        if self.operator == "regex":
            try:
                matches(self.match_text, "")
            except WrongPattern as error:
                yield Mistake("match_text", f"This pattern cannot be read: {error}.")

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        if self._compare():
            return Output({"true_result": self.true_case_message or self.input_text})
        return Output({"false_result": self.false_case_message or self.input_text})

    def _compare(self) -> bool:
        text, wanted = self.input_text, self.match_text
        if self.operator == "regex":
            try:
                return matches(wanted, text, is_case_sensitive=self.case_sensitive)
            except WrongPattern as error:
                raise RunError(f"The pattern cannot be read: {error}.") from None
        if not self.case_sensitive:
            text, wanted = text.casefold(), wanted.casefold()
        match self.operator:
            case "equals":
                return text == wanted
            case "not equals":
                return text != wanted
            case "contains":
                return wanted in text
            case "starts with":
                return text.startswith(wanted)
            case "ends with":
                return text.endswith(wanted)
        return self._compare_numbers()

    def _compare_numbers(self) -> bool:
        try:
            number, other = float(self.input_text), float(self.match_text)
        except ValueError:
            return False
        match self.operator:
            case "less than":
                return number < other
            case "less than or equal":
                return number <= other
            case "greater than":
                return number > other
        return number >= other
