"""Current Date: what day and time it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flowground.components.base import Component, Context, Output, declare
from flowground.errors import RunError
from flowground.values import ValueKind


class CurrentDate(Component):
    """Tells the current date, weekday and time in a time zone."""

    type_name: ClassVar[str] = "CurrentDate"
    title: ClassVar[str] = "Current Date"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"current_date": "text"}
    is_tool: ClassVar[bool] = True
    waits: ClassVar[bool] = False

    timezone: str = declare(
        "UTC",
        "Timezone",
        "A name of the time zone database, such as `Europe/Berlin` or `America/New_York`.",
        max_length=100,
        model_may_set=True,
    )

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        try:
            now = datetime.now(ZoneInfo(self.timezone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise RunError(f"There is no time zone {self.timezone[:100]!r}.") from None
        return Output({"current_date": f"{now:%A, %Y-%m-%d %H:%M} ({self.timezone})"})
