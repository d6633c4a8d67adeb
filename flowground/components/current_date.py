"""Current Date: what day and time it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from flowground.components.base import Component, Context, Output, declare
from flowground.errors import RunError
from flowground.values import ValueKind, find_zone


class CurrentDate(Component):
    """Tells the current date, weekday and time in a time zone.

    Without `timezone` it is that of who asks on a page, as their browser says; for programs, or where it is not known,
    `organization.timezone` of config.yaml.
    """

    type_name: ClassVar[str] = "CurrentDate"
    title: ClassVar[str] = "Current Date"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"current_date": "text"}
    is_tool: ClassVar[bool] = True
    waits: ClassVar[bool] = False

    timezone: str = declare(
        "",
        "Timezone",
        "A name of the time zone database, such as `Europe/Berlin` or `America/New_York`; that of who asks when empty.",
        max_length=100,
        model_may_set=True,
    )

    async def run(self, context: Context) -> Output:
        name = self.timezone.strip() or context.time_zone
        zone = find_zone(name)
        if zone is None:
            raise RunError(f"There is no time zone {name[:100]!r}.")
        now = datetime.now(zone)
        return Output({"current_date": f"{now:%A, %Y-%m-%d %H:%M} ({name})"})
