"""Prompt: a template whose `{variables}` are fields of the component."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict, PrivateAttr

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.template import LONGEST_TEMPLATE, Template, find_mistake, parse_template
from flowground.values import ValueKind


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
        if mistake := find_mistake(self._parsed, "template"):
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
