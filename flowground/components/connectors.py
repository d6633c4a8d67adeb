"""Components for what config.yaml connects: databases (SQL), the operator's functions (Python Function), MCP
servers."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

from flowground.components.base import Context, DynamicTool, Mistake, Output, Outside, TakesTexts, declare
from flowground.components.schemas import find_misfit
from flowground.components.template import (
    ArgumentHint,
    Variable,
    VariablesTool,
    describe_variables,
    find_argument_mistakes,
    find_variable_mistakes,
    list_typed,
    parse_template,
    read_typed,
)
from flowground.core.errors import RunError
from flowground.core.values import ValueKind
from flowground.core.words import Schema
from flowground.providers.base import ToolSpec
from flowground.tools.settings import Parameter

CANNOT_BE_USED = "Cannot be used now: "
"""The begin of a tool's description while its server cannot be reached; the reason follows."""
_LONGEST_NAME = 64


class SQL(VariablesTool):
    """Asks a database with one SELECT, and gives the rows as records. It changes nothing.

    Each `{name}` in `query` is a value, which the database is given beside the query: it needs no quotes. Where the
    file leaves `query` out, the model of an agent writes it.
    """

    title: ClassVar[str] = "SQL Database"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"run_sql_query": "records"}
    calls_out: ClassVar[bool] = True

    database: str = declare(..., "Database", "A name under `databases:` of config.yaml.", fixed=True, max_length=100)
    query: str = declare(
        ...,
        "SQL Query",
        "One SELECT statement: `SELECT status FROM orders WHERE number = {number}`.",
        multiline=True,
        template=True,
        literal=True,
        protected=True,
        model_may_set=True,
        max_length=20_000,
    )
    arguments: dict[str, ArgumentHint] = declare(
        {},
        "Arguments",
        "For an agent's model, what each value is: `{number: Number of an order}`, or with a type as in an APIRequest.",
        fixed=True,
    )

    @classmethod
    def list_variables(cls, fields: Mapping[str, Any]) -> Mapping[str, Schema]:
        """The variables in the query, with the types that `arguments` gives them."""
        return describe_variables(cls, [fields.get("query")], fields.get("arguments"), "{} of the query.")

    def list_mistakes(self) -> Iterator[Mistake]:
        """Variables without a value, and arguments that are no variables."""
        yield from find_variable_mistakes(self, {"query": self.query})
        yield from find_argument_mistakes(self.arguments)

    async def run(self, context: Context) -> Output:
        values: dict[str, Any] = {**self.__pydantic_extra__}
        values |= {name: read_typed(name, values[name], schema) for name, schema in list_typed(self.arguments).items()}
        if large := next((name for name, value in values.items() if isinstance(value, int) and value >= 2**63), None):
            raise RunError(f"`{large}` is larger than a database counts.")
        parts = [
            Parameter(part.name, values[part.name]) if isinstance(part, Variable) else part
            for part in parse_template(self.query).parts
        ]
        return Output({"run_sql_query": await context.outside.ask_database(self.database, parts)})


class PythonFunction(DynamicTool, TakesTexts):
    """Calls a Python function that the operator made for flows, and gives what it returns.

    `functions:` of config.yaml names the modules. As an agent's tool, the model gives the arguments that are left out,
    as the signature and docstring describe them.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"result": "data"}
    calls_out: ClassVar[bool] = True

    function: str = declare(..., "Function", "As `module.function`.", fixed=True, max_length=200)
    arguments: dict[str, Any] = declare({}, "Arguments", "Arguments and their values.", protected=True)
    only_reads: bool = declare(
        False, "Only Reads", "True where a call changes nothing: nobody is asked before it.", fixed=True
    )

    @property
    def writes(self) -> bool:
        return not self.only_reads

    async def describe(self, spec: ToolSpec, outside: Outside, *, is_described: bool) -> tuple[ToolSpec, bool]:
        """The tool with the arguments that the author left out. Raises RunError where there is no such function."""
        function = outside.find_function(self.function)
        set_already = self._list_set()
        parameters = dict(function.parameters)
        properties: Mapping[str, Any] = parameters.get("properties", {})
        parameters["properties"] = {name: part for name, part in properties.items() if name not in set_already}
        parameters["required"] = [name for name in parameters["required"] if name not in set_already]
        description = spec.description if is_described else function.description or spec.description
        return replace(spec, description=description, parameters=parameters), self.writes

    def take_arguments(self, arguments: Mapping[str, Any]) -> Self:
        """The component with the model's arguments added. Raises RunError where they would replace the author's."""
        if name := next((name for name in arguments if name in self._list_set()), None):
            raise RunError(f"`{name}` is set already.")
        return self.model_copy(update={"arguments": {**self.arguments, **arguments}})

    async def run(self, context: Context) -> Output:
        function = context.outside.find_function(self.function)
        return Output({"result": await function.call({**self.arguments, **self.__pydantic_extra__})})

    def _list_set(self) -> set[str]:
        return {*self.arguments, *self.__pydantic_extra__}


class MCP(DynamicTool):
    """Tools of an MCP server, for an agent; or one of them, called with `arguments`.

    The server stands in `mcp_servers:` of config.yaml. An agent calls each tool in `tools` as `server_tool`. What the
    server says, its descriptions too, is the text of somebody else: a model may believe it.
    """

    title: ClassVar[str] = "MCP Tools"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"response": "text"}
    calls_out: ClassVar[bool] = True

    server: str = declare(..., "MCP Server", "A name under `mcp_servers:` of config.yaml.", fixed=True, max_length=100)
    tools: list[str] = declare(
        ..., "Tools", "Names of the tools that may be used.", fixed=True, min_length=1, max_length=100
    )
    arguments: dict[str, Any] | None = declare(
        None,
        "Arguments",
        "For a call in the flow itself, usually a reference. `{}` where the tool takes none.",
        kind="data",
        protected=True,
    )

    @property
    def writes(self) -> bool:
        return True  # individual tools may be declared read-only by the server

    def list_offered(self) -> Mapping[str, str]:
        """The names by which models call the tools -> the tools' names on the server."""
        names = ((re.sub(r"[^A-Za-z0-9_]", "_", f"{self.server}_{tool}")[:_LONGEST_NAME], tool) for tool in self.tools)
        return dict(names)

    def list_mistakes(self) -> Iterator[Mistake]:
        """Arguments where there are several tools, and tools that a model could not tell apart."""
        if self.arguments is not None and len(self.tools) > 1:
            yield Mistake("arguments", "`arguments` are those of one tool: name one in `tools`.")
        if len(self.list_offered()) < len(self.tools):
            yield Mistake("tools", f"Two of `tools` would have one name: {', '.join(self.list_offered())}.")

    def choose(self, tool: str) -> Self:
        """The component with only this one of its tools."""
        return self.model_copy(update={"tools": [tool]})

    async def describe(self, spec: ToolSpec, outside: Outside, *, is_described: bool) -> tuple[ToolSpec, bool]:
        """The tool as the server describes it now; where the server cannot be reached, the description says so, as a
        call will."""
        try:
            found = await outside.servers.find_tool(self.server, self.tools[0])
        except RunError as error:
            return replace(spec, description=f"{CANNOT_BE_USED}{error.message}"), True
        description = spec.description if is_described else found.description
        return replace(spec, description=description, parameters=found.parameters), found.writes

    def take_arguments(self, arguments: Mapping[str, Any]) -> Self:
        return self.model_copy(update={"arguments": dict(arguments)})

    async def preview_call(self, outside: Outside) -> None:
        """Raises RunError where the server cannot be reached, or the tool does not accept the arguments."""
        found = await outside.servers.find_tool(self.server, self.tools[0])
        if misfit := await asyncio.to_thread(find_misfit, self.arguments or {}, found.parameters):
            raise RunError(f"The arguments do not fit: {misfit}")

    async def run(self, context: Context) -> Output:
        await self.preview_call(context.outside)
        text = await context.outside.servers.call(self.server, self.tools[0], self.arguments or {})
        return Output({"response": text})
