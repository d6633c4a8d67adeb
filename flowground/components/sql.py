"""SQL: rows of a database of the organization's."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict

from flowground.components import arguments as told
from flowground.components import variables
from flowground.components.arguments import ToldArgument, list_typed, read_typed, write_typed
from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.template import Variable, parse_template
from flowground.databases import Parameter
from flowground.errors import RunError
from flowground.values import ValueKind
from flowground.words import Schema


class SQL(Component):
    """Asks a database with one SELECT, and gives the rows as records. It changes nothing.

    Each `{name}` in `query` is a value, which a field of that name gives, as text or reference: the database is given
    it beside the query, so it needs no quotes, and whatever it holds stays a value. Where the file leaves `query` out,
    the model of an agent writes it; else it gives the values that are left out.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]

    type_name: ClassVar[str] = "SQL"
    title: ClassVar[str] = "SQL Database"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"run_sql_query": "records"}
    calls_out: ClassVar[bool] = True
    is_tool: ClassVar[bool] = True

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
    arguments: dict[str, ToldArgument] = declare(
        {},
        "Arguments",
        "What each value is, for the model of an agent: `{number: Number of an order}`; `{most: {type: integer, "
        "description: How many}}` has a type, `integer`, `number` or `boolean`, and the database is given that.",
        fixed=True,
    )

    @classmethod
    def list_variables(cls, fields: Mapping[str, Any]) -> Mapping[str, Schema]:
        """Those of the query."""
        return variables.describe_all(cls, [fields.get("query")], fields.get("arguments"), "{} of the query.")

    def read_arguments(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Those with a type as texts, as a file gives them; the database is given what they are."""
        return write_typed(self.arguments, given)

    def list_mistakes(self) -> Iterator[Mistake]:
        """Values that nobody gives, and what is said of none."""
        yield from variables.find_mistakes(self, {"query": self.query}, self.__pydantic_extra__)
        yield from told.find_mistakes(self.arguments)

    async def run(self, context: Context) -> Output:
        given: dict[str, Any] = {**self.__pydantic_extra__}
        given |= {name: read_typed(name, given[name], schema) for name, schema in list_typed(self.arguments).items()}
        if large := next((name for name, value in given.items() if isinstance(value, int) and value >= 2**63), None):
            raise RunError(f"`{large}` is larger than a database counts.")
        parts = [
            Parameter(part.name, given[part.name]) if isinstance(part, Variable) else part
            for part in parse_template(self.query).parts
        ]
        return Output({"run_sql_query": await context.outside.ask_database(self.database, parts)})
