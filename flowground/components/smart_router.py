"""Smart Router: one of several ways, by a model's judgement."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from flowground.components.base import NO_PORT, PORT_MARKS, Component, Context, Mistake, Output, declare, declare_model
from flowground.components.structured import ask_for_json
from flowground.messages import Message
from flowground.values import ValueKind

_ROUTE = "route"
_INSTRUCTIONS = """\
You decide which of these routes a text belongs to. Answer with the name of one route.

{routes}"""


class SmartRouter(Component):
    """Lets a model decide which way a text goes. Each route is an output, `${Route.billing}`; the others are skipped.

    Where the model names no route, the text goes to `default_route`; without one the component fails. What a test
    replies for it is `{route: billing}`.
    """

    type_name: ClassVar[str] = "SmartRouter"
    title: ClassVar[str] = "Smart Router"
    outputs: ClassVar[Mapping[str, ValueKind]] = {}
    branches: ClassVar[bool] = True
    calls_out: ClassVar[bool] = True

    model: str | None = declare_model()
    input_text: str = declare(..., "Input", "The text that goes one way, usually a reference.", multiline=True)
    routes: dict[str, str] = declare(
        ...,
        "Routes",
        "Names of routes, and for the model what belongs there.",
        fixed=True,
        kind="data",
    )
    custom_prompt: str = declare("", "Additional Instructions", "What else the model is told.", multiline=True)
    default_route: str | None = declare(
        None, "Default Route", "Where a text goes for which the model names no route.", literal=True, protected=True
    )

    def list_outputs(self) -> Mapping[str, ValueKind]:
        return dict.fromkeys(self.routes, "text")

    def list_models(self) -> tuple[str | None, ...]:
        return (self.model,)

    def list_mistakes(self) -> Iterator[Mistake]:
        """Routes that cannot be outputs, and a default that is none of them."""
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
        told = _INSTRUCTIONS.format(routes="\n".join(lines))
        if self.custom_prompt:
            told = f"{told}\n\n{self.custom_prompt}"
        return Message("system", told), Message("user", self.input_text)
