"""What one run may use, with all the flows that it runs, and what it used."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from flowground.errors import RunOverBudget
from flowground.messages import StandIn, Usage, sum_usage
from flowground.providers.base import Completion
from flowground.settings import Limits

SumCost = Callable[[Iterable[tuple[str | None, Usage]]], float | None]
_MOST_RETRIES = 20
"""Repeats of calls to models that one run may make, all its steps and flows together."""
_MOST_INNER_STEPS = 200
"""Steps of inner flows that a run keeps for its trace."""


@dataclass(slots=True)
class RunBudget:
    """Of one run. `used` has what its models counted, by the name that a component calls its model; of fallbacks by
    their own; `was_answered` by any of them. `asked_instead` are the providers of fallbacks that were asked. `sum_cost`
    says what so much use costs, in `currency`; None where it costs nothing."""

    limits: Limits
    sum_cost: SumCost = lambda _: None
    currency: str = ""
    used: dict[str | None, Usage] = field(default_factory=dict)
    was_answered: bool = False
    steps: int = 0
    tokens: int = 0
    kept_steps: int = 0
    actions: int = 0
    retries: int = 0
    breaths: int = 0
    """How often it has let others go on."""
    asked_instead: set[str] = field(default_factory=set)
    stand_ins: dict[StandIn, None] = field(default_factory=dict)
    """Fallbacks that answered, until they are told."""

    def take_step(self) -> None:
        """A component begins. Raises RunOverBudget where the run has used up its steps, tokens or money."""
        self.steps += 1
        limits = self.limits
        if self.steps > limits.run_steps:
            raise RunOverBudget(limits.run_steps, "steps", "run_steps")
        if limits.run_tokens and self.tokens >= limits.run_tokens:
            raise RunOverBudget(limits.run_tokens, "tokens", "run_tokens")
        if limits.run_money and (self.sum_cost(self.used.items()) or 0) >= limits.run_money:
            raise RunOverBudget(limits.run_money, self.currency, "run_money")

    def add(self, model: str | None, answer: Completion) -> None:
        """A component's model gave this answer, or a fallback in its place: what it counted is used."""
        self.was_answered = True
        if answer.stand_in:
            model = answer.stand_in.model
            self.stand_ins[answer.stand_in] = None
        if usage := answer.usage:
            self.used[model] = self.used[model] + usage if model in self.used else usage
            self.tokens += usage.total_tokens

    def take_retry(self) -> bool:
        """A call to a model may be repeated, in any step of the run."""
        self.retries += 1
        return self.retries <= _MOST_RETRIES

    def note_stand_in(self, provider: str) -> None:
        """A call goes to a fallback of this provider."""
        self.asked_instead.add(provider)

    def take_stand_ins(self) -> tuple[StandIn, ...]:
        """The fallbacks that answered since this was asked last."""
        told = tuple(self.stand_ins)
        self.stand_ins.clear()
        return told

    def number_action(self) -> int:
        """The number of what a model does next."""
        self.actions += 1
        return self.actions

    def keep_inner_step(self) -> bool:
        """Whether one more step of an inner flow has room in the trace."""
        self.kept_steps += 1
        return self.kept_steps <= _MOST_INNER_STEPS

    @property
    def usage(self) -> Usage | None:
        """All of it together; None where no model counted."""
        return sum_usage(self.used.values())
