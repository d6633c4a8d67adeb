"""Routers: choose one of several outputs for a text, by a comparison or by a model."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from flowground.components.base import NO_PORT, PORT_MARKS, AsksModel, Component, Context, Mistake, Output, declare
from flowground.components.models import ask_for_json
from flowground.components.records import COMPARISONS
from flowground.components.schemas import WrongPattern, matches
from flowground.core.errors import RunError
from flowground.core.messages import Message
from flowground.core.values import ValueKind

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
_ROUTE = "route"
_INSTRUCTIONS = """\
You decide which of these routes a text belongs to. Answer with the name of one route.

{routes}"""


class ConditionalRouter(Component):
    """Compares a text and passes it on: to `true_result` where the comparison holds, else to `false_result`.

    What refers to the other of the two is skipped.
    """

    title: ClassVar[str] = "If-Else"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"true_result": "text", "false_result": "text"}
    branches: ClassVar[bool] = True
    waits: ClassVar[bool] = False

    input_text: str = declare(..., "Text Input", "The text that is compared, usually a reference.", multiline=True)
    operator: _Operator = declare(
        "equals",
        "Operator",
        "How the texts are compared. `regex` matches from the beginning, in Rust's dialect; `(?s).*word` finds a "
        "word in several lines. *less* and *greater* compare numbers, and never hold for other texts.",
    )
    match_text: str = declare(..., "Match Text", "What the text is compared with; for `regex` the pattern.")
    case_sensitive: bool = declare(True, "Case Sensitive", "Whether `A` is not `a`.")
    true_case_message: str = declare(
        "",
        "Case True",
        "Passed on instead of the text where the comparison holds; may hold references.",
        multiline=True,
    )
    false_case_message: str = declare("", "Case False", "Passed on instead where it does not hold.", multiline=True)

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
        compare = COMPARISONS[self.operator]
        if not self.operator.startswith(("less", "greater")):
            return compare(text, wanted)
        try:
            return compare(float(text), float(wanted))
        except ValueError:
            return False


class SmartRouter(AsksModel):
    """Lets a model decide which way a text goes. Each route is an output, `${Route.billing}`; the others are skipped.

    Where the model names no route, the text goes to `default_route`; without one the component fails.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {}
    branches: ClassVar[bool] = True

    input_text: str = declare(..., "Input", "The text that is routed, usually a reference.", multiline=True)
    routes: dict[str, str] = declare(
        ..., "Routes", "Each route's name, and what belongs there.", fixed=True, kind="data"
    )
    custom_prompt: str = declare("", "Additional Instructions", "Further instructions for the model.", multiline=True)
    default_route: str | None = declare(
        None, "Default Route", "The route when the model names none.", literal=True, protected=True
    )

    def list_outputs(self) -> Mapping[str, ValueKind]:
        return dict.fromkeys(self.routes, "text")

    def list_mistakes(self) -> Iterator[Mistake]:
        """Routes that cannot be outputs, and a default that is no route."""
        if not self.routes:
            yield Mistake("routes", "`routes` names at least one route.")
        for name in self.routes:
            if not name or set(name) & PORT_MARKS:
                yield Mistake("routes", f"The route {name!r} cannot be an output: {NO_PORT}.")
        if self.default_route is not None and self.default_route not in self.routes:
            says = f"`default_route` is none of the routes: {self.default_route!r}."
            yield Mistake("default_route", says, missing=self.default_route, choices=tuple(self.routes))

    async def run(self, context: Context) -> Output:
        schema = {
            "type": "object",
            "properties": {_ROUTE: {"type": "string", "enum": [*self.routes]}},
            "required": [_ROUTE],
            "additionalProperties": False,
        }
        answer = await ask_for_json(context, self.model, self._write_messages(), schema, temperature=0)
        route = self.default_route
        if answer.misfit is None or route is None:
            route = answer.require()[_ROUTE]
        return Output({route: self.input_text}, answer.model, answer.usage)

    def _write_messages(self) -> tuple[Message, ...]:
        lines = (f"- {name}: {says}" if says else f"- {name}" for name, says in self.routes.items())
        prompt = _INSTRUCTIONS.format(routes="\n".join(lines))
        if self.custom_prompt:
            prompt = f"{prompt}\n\n{self.custom_prompt}"
        return Message("system", prompt), Message("user", self.input_text)
