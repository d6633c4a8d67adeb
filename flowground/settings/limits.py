"""Limits of what the process, people, visitors, addresses and flows may use up, and the prices of models."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from flowground.core.messages import Usage
from flowground.core.yaml_file import ConfigSection

Days = Annotated[int, Field(ge=0, le=36_500)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


class RunBounds(ConfigSection):
    """How much one person, or one flow, may use; 0 is no limit."""

    runs_per_minute: Count = Field(
        0, description="Runs a minute, which begins with its first run; 0 here and below: no limit."
    )
    runs_at_once: Count = Field(0, description="Runs at once.")
    tokens_per_day: Count = Field(
        0,
        description="Tokens a day (UTC), as model servers count them. A run's count when it ends, so runs that are "
        "under way may pass the limit.",
    )
    money_per_day: Amount = Field(0, description="What models cost a day (UTC), by `prices`, counted when runs end.")


class StoredBounds(RunBounds):
    stored_bytes: Count = Field(0, description="Bytes of text that all their conversations hold together.")
    file_bytes: Count = Field(
        1_000_000_000, description="Bytes of files that they keep together, each counted as 4,096 at least."
    )


class PublicSettings(ConfigSection):
    """How much people who did not sign in may use; 0 is no limit."""

    runs_per_day: Count = Field(1000, description="Runs of all visitors of one flow a day (UTC). 0: no limit.")
    runs_per_minute: Count = Field(10, description="Runs that one visitor may start a minute. 0: no limit.")
    address_runs_per_minute: Count = Field(60, description="The same for all visitors of one address (IPv6: /64).")
    conversations: Count = Field(
        1000, description="Visitors' conversations kept of one flow; the oldest go first. 0: all."
    )
    days: Days = Field(
        30, description="Days after its last message when a visitor's conversation is deleted. 0: never."
    )
    file_bytes: int = Field(5_000_000, ge=1, description="Largest file of a visitor, where `accepts` takes files.")
    flow_file_bytes: Count = Field(
        1_000_000_000, description="Bytes of files of all visitors of one flow. 0: no limit."
    )


class Limits(ConfigSection):
    body_bytes: int = Field(3_145_728, ge=1024, description="Largest request body; more answers 413.")
    file_bytes: int = Field(20_000_000, ge=1, description="Largest file that is uploaded; a larger one answers 413.")
    knowledge_bytes: Count = Field(
        1_000_000_000, description="Bytes of files that authors add to one knowledge on its page. 0: no limit."
    )
    message_files: int = Field(10, ge=1, le=50, description="Files that one message may have.")
    message_chars: int = Field(200_000, ge=1, description="Longest single message.")
    request_seconds: float = Field(
        30,
        gt=0,
        description="Longest wait for a request's head, for each next piece of its body (ten times that for the "
        "whole), for its client to read on, and for the first word of a page without sign-in.",
    )
    run_seconds: Amount = Field(
        600, description="Longest run, fetching the built-in model aside; a longer one answers 504. 0: no limit."
    )
    run_steps: int = Field(
        20_000,
        ge=1,
        description="Components that one run may run, with those of inner flows; then it fails.",
    )
    run_tokens: Count = Field(
        0,
        description="Tokens that the models of one run may use, inner flows included; then no further component "
        "begins and the run fails. 0: no limit.",
    )
    run_money: Amount = Field(
        0,
        description="What the models of one run may cost, by `prices`, inner flows included; then the run fails "
        "likewise. 0: no limit.",
    )
    approval_seconds: float = Field(
        600,
        ge=1,
        le=86_400,
        description="How long a tool's call waits for a person's approval; then it counts as refused. The run's "
        "time stands still meanwhile.",
    )
    resume_seconds: Amount = Field(
        30, description="Seconds that a run with `?stream=sse` goes on unread, and that its events stay in memory."
    )
    runs_per_minute: Count = Field(
        0,
        description="Runs that one person (pages and tokens together), organization token or visitor may start a "
        "minute; more answers 429. 0: no limit.",
    )
    page_runs_per_minute: Count = Field(
        60,
        description="Runs that one signed-in person may start at the pages a minute, where `runs_per_minute` is "
        "not lower. 0: no limit.",
    )
    runs_at_once: int = Field(
        500,
        ge=1,
        description="Runs that one process has under way at once. As many more wait for half a minute; others get "
        "503 with `Retry-After`. Nobody, with all their tokens, has more than fifty of either, or half of what "
        "the others leave, whichever is more.",
    )
    guest_pages: int = Field(
        400,
        ge=1,
        description="Pages that people who are not signed in may have open together. One more closes the longest "
        "silent one of the address with most pages. All together get at most a quarter of the files that the "
        "process may open (`ulimit -n`), four a page.",
    )
    guest_pages_per_address: int = Field(
        100,
        ge=1,
        description="Such pages of one address (IPv6: /64); beyond that a page that was silent for "
        "`request_seconds` is closed, else the new one is refused.",
    )
    store_seconds: float = Field(
        15, ge=1, le=300, description="Longest wait for the database, or for its lock; then 503."
    )
    shutdown_seconds: Amount = Field(10, description="Grace for running answers when the process is told to end.")
    person: StoredBounds = StoredBounds()
    flow: RunBounds = RunBounds()


class ModelPrice(ConfigSection):
    """Prices for a million tokens."""

    input: Amount = Field(0, description="For a million tokens that the model reads.")
    output: Amount = Field(0, description="For a million tokens that it writes.")


class PriceSettings(ConfigSection):
    currency: str = Field(
        "USD", min_length=1, max_length=12, description="The currency of prices and of limits in money."
    )
    models: dict[str, ModelPrice] = Field(
        default_factory=dict,
        description="By `provider:model`, or by a provider for all its other models: `input` and `output`, for a "
        "million tokens. Others cost nothing.",
    )

    def sum_cost(self, used: Iterable[tuple[str | None, Usage]], default: str) -> float | None:
        """The cost of these models' usage, by model name (None: the default model); None where no prices are set."""
        if not self.models:
            return None
        cost = 0.0
        for named, usage in used:
            model = named or default
            if price := self.models.get(model) or self.models.get(model.partition(":")[0]):
                cost += (price.input * usage.input_tokens + price.output * usage.output_tokens) / 1e6
        return cost
