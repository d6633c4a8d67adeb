"""Who may start a run now, by a clock that is handed in.

What is said where a limit lets no more in: what was reached, by whom, and when there is more.
"""

import asyncio
from pathlib import Path

import pytest

from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller, Owner, RunRequest
from flowground.core.errors import RunLimitReached
from flowground.core.messages import Usage
from flowground.runs.limits import Allowance, RunLimits, limit_reached_error, write_reset
from flowground.runs.meter import Limit, LimitKind, LimitSubject, Remaining, StoredBytes
from flowground.settings import Settings
from flowground.store import Store, publications
from flowground.store.publications import Sharing
from flowground.store.runs import transcripts, turns
from flowground.store.runs.records import RunCounts
from tests.counted import MIA, NOON, Clock, begin, call, limits, refusal, visitor
from tests.running import chat_flow, running, start_turn, watch
from tests.store_writes import HERE, message, ran
from tests.stored import list_runs


async def test_a_person_at_the_pages_meets_sixty_a_minute(store: Store) -> None:
    clock = Clock()
    counted = limits(store, clock)
    for _ in range(60):
        clock.passed += 0.5
        await begin(counted, MIA)
    refused = await refusal(counted, MIA)
    assert (refused.code, refused.retry_after) == ("rate_limited", 31)
    await begin(counted, Caller("member", "max", "member"))
    clock.passed += 31
    await begin(counted, MIA)


async def test_nobody_meets_a_limit_of_zero_and_programs_and_the_owner_none_unless_it_was_set(store: Store) -> None:
    token, one_a_minute = Caller("token", "t1", "member"), limits(store, Clock(), page_runs_per_minute=1)
    unlimited, zero = limits(store, Clock()), limits(store, Clock(), page_runs_per_minute=0)
    for _ in range(200):
        assert await call(one_a_minute, token) is None
        await begin(unlimited, LOCAL_OWNER)
        await begin(zero, MIA)
        await begin(zero, visitor(), came_from="")
    counted = limits(store, Clock(), runs_per_minute=1)
    await begin(counted, LOCAL_OWNER)
    await refusal(counted, LOCAL_OWNER)


async def test_one_setting_limits_tokens_people_and_visitors(store: Store) -> None:
    counted = limits(store, Clock(), runs_per_minute=2, public={"runs_per_minute": 10})
    token = Caller("token", "t1", "member")
    assert await call(counted, token) == Allowance(2, 1, 60)
    for caller in (MIA, visitor()):
        await begin(counted, caller)
        await begin(counted, caller)
        await refusal(counted, caller)
    assert await call(counted, token) == Allowance(2, 0, 60)
    with pytest.raises(RunLimitReached):
        await call(counted, token)


async def test_what_is_refused_is_not_counted(store: Store) -> None:
    """Who waits as long as they were told is let in, however often they tried meanwhile; nobody pays for them."""
    clock = Clock()
    counted = limits(store, clock, public={"runs_per_minute": 1, "address_runs_per_minute": 3, "runs_per_day": 3})
    await begin(counted, visitor())
    for _ in range(50):
        await refusal(counted, visitor())
    await begin(counted, visitor(1))
    clock.passed = 60
    await begin(counted, visitor())
    assert (await refusal(counted, visitor(2))).code == "daily_limit_reached"


async def test_a_flow_has_a_day_that_all_its_visitors_share(store: Store) -> None:
    clock = Clock()
    counted = limits(store, clock, public={"runs_per_day": 3})
    for number in range(3):
        await begin(counted, visitor(number), came_from=f"203.0.113.{number}")
    refused = await refusal(counted, visitor(7))
    assert refused.message == ("This flow has reached its daily limit; it answers again at 00:00 UTC, in 12 h.")
    assert (refused.code, refused.retry_after) == ("daily_limit_reached", 12 * 3600)
    await begin(counted, visitor(7), "another")
    await begin(counted, MIA)
    clock.passed = 12 * 3600 - 90
    assert "in 2 min." in (await refusal(counted, visitor())).message
    clock.passed = 12 * 3600
    await begin(counted, visitor())


async def test_a_crowd_at_the_first_moment_does_not_pass_the_day(store: Store) -> None:
    counted = limits(store, Clock(), public={"runs_per_day": 3})
    ends = await asyncio.gather(*(begin(counted, visitor(n)) for n in range(20)), return_exceptions=True)
    assert [type(end) for end in ends].count(RunLimitReached) == 17


async def let_in(runtime: Runtime, number: int = 0) -> Caller:
    await runtime.store.write(publications.change, flow_id="talk", sharing=Sharing(True, "public"), by="tests")
    found = await runtime.access.admit_visitor(f"browser {number}", "talk")
    assert found is not None
    return found


def said(session: str = "s") -> RunRequest:
    return RunRequest(input_value="hello", session_id=session, stream=True)


@pytest.mark.parametrize("model", ["scripted:fail", "scripted:breaks", "scripted:silent"])
async def test_a_failed_or_stopped_run_counts(tmp_path: Path, model: str) -> None:
    config = {"sharing": {"allow_public": True, "public": {"runs_per_day": 1}}}
    async with running(tmp_path, {"talk": chat_flow(model)}, config=config) as runtime:
        caller = await let_in(runtime)
        turn = await start_turn(runtime, caller, "talk", said())
        if model == "scripted:silent":
            await anext(watch(turn))
            turn.stop()
        await asyncio.wait([turn.task])
        with pytest.raises(RunLimitReached) as caught:
            await start_turn(runtime, await let_in(runtime, 2), "talk", said())
        assert caught.value.code == "daily_limit_reached"
        stored = await runtime.store.read(list_runs, flow_id="talk")
        assert [run.status for run in stored] == ["stopped" if model == "scripted:silent" else "failed"]


async def test_a_visitor_has_one_running_turn_and_members_as_many_as_conversations(tmp_path: Path) -> None:
    flows = {"talk": chat_flow("scripted:silent"), "other": chat_flow("scripted:silent")}
    config = {"sharing": {"allow_public": True}}
    async with running(tmp_path, flows, config=config) as runtime:
        caller = await let_in(runtime)
        starting = [start_turn(runtime, caller, "talk", said(f"s{n}")) for n in range(5)]
        ends = await asyncio.gather(*starting, return_exceptions=True)
        refused = [end for end in ends if isinstance(end, RunLimitReached)]
        assert [(error.code, error.retry_after) for error in refused] == [("turn_running", None)] * 4
        await start_turn(runtime, await let_in(runtime, 2), "talk", said("s"))
        (turn,) = (end for end in ends if not isinstance(end, BaseException))
        turn.stop()
        await asyncio.wait([turn.task])
        await start_turn(runtime, caller, "talk", said("after"))
        for session in ("a", "b"):
            await start_turn(runtime, LOCAL_OWNER, "talk", said(session))


async def test_who_gets_another_name_takes_what_they_used_with_them(store: Store) -> None:
    """A visitor whose browser has another cookie."""
    old, new = visitor(1), visitor(2)
    counted = limits(store, Clock(), public={"runs_per_minute": 3})
    for _ in range(3):
        await begin(counted, old)
    await begin(counted, new)
    await store.write(transcripts.hand_over, old=str(old.owner), new=str(new.owner), by="tests")
    await begin(counted, old)
    assert (await refusal(counted, new)).code == "rate_limited"


MODELS = {"talk": "echo", "other": "json", "free": "fail"}


async def test_what_a_run_costs_is_kept_where_prices_are_given(tmp_path: Path) -> None:
    prices = {"models": {"scripted:echo": {"input": 1_000_000, "output": 10_000_000}, "scripted": {"input": 5}}}
    flows = {name: chat_flow(f"scripted:{model}") for name, model in MODELS.items()}
    async with running(tmp_path, flows, config={"prices": prices}) as runtime:
        for flow in flows:
            turn = await start_turn(runtime, LOCAL_OWNER, flow, said())
            await asyncio.wait([turn.task])
        costs = [(await runtime.store.read(list_runs, flow_id=flow))[0].counts.cost for flow in flows]
        # "hello" is one token read, "You said: hello" three written; of the other model only what it reads costs.
        assert costs == [pytest.approx(31.0), pytest.approx(5e-6), 0.0]


async def keep(store: Store, owner: str, size: int) -> None:
    """Another process stores so many bytes."""
    await store.write(turns.begin_turn, flow_id="talk", owner=owner, session_id="s", message=message("x" * size))


async def test_stored_bytes_are_those_of_a_member_and_their_programs(store: Store) -> None:
    programs = str(Owner("programs", "mia"))
    for owner, size in {str(MIA.owner): 10, programs: 20, "member:max": 40, str(visitor().owner): 5}.items():
        await keep(store, owner, size)
    meter = StoredBytes(store, now=Clock().wall, most=100)
    assert await meter.read(str(MIA.owner)) == 30
    assert await meter.read(str(visitor().owner)) == 5


async def test_what_is_left_is_told_from_what_was_stored_before(store: Store) -> None:
    """By a process that has let nothing in yet."""
    await keep(store, str(MIA.owner), 30)
    first = limits(store, Clock(), person={"stored_bytes": 100}, flow={"runs_per_minute": 2})
    await begin(first, MIA)
    fresh = limits(store, Clock(), person={"stored_bytes": 100}, flow={"runs_per_minute": 2})
    [held, of_flow] = await fresh.look(MIA, ["talk"])
    assert (held.used, held.left, held.flow_id) == (30, 70, None)
    assert (of_flow.limit.of, of_flow.flow_id, of_flow.used) == ("flow", "talk", 1)


def test_a_run_costs_what_its_models_read_and_write(store: Store) -> None:
    models = {"server": {"input": 2, "output": 10}, "server:small": {"input": 1}}
    settings = Settings.model_validate({"prices": {"models": models}, "default_model": "server:x"})
    counted = RunLimits(settings, store)
    used = [(None, Usage(1_000_000, 500_000)), ("server:small", Usage(3_000_000, 1)), ("other:y", Usage(9, 9))]
    assert counted.sum_cost(used) == pytest.approx(2 + 5 + 3)


async def test_a_free_model_uses_no_money_and_tokens_no_runs_of_a_minute(store: Store) -> None:
    bounds = {"person": {"money_per_day": 1, "tokens_per_day": 5}}
    settings = Settings.model_validate({"limits": bounds, "prices": {"models": {"paid": {"input": 1}}}})
    counted = RunLimits(settings, store, now=lambda: NOON)
    token = Caller("token", "t", "member")
    assert await call(counted, token) is None
    run = counted.open(token)
    assert run
    await run.read("talk")
    counts, spent = run.end([("free", Usage(2, 1))], size=9)
    assert counts.cost == 0
    assert spent
    await store.write(turns.finish_counted, finish=turns.finish_turn, counted=spent, **HERE, answers=[], run=ran())
    used = {found.limit.what: found.used for found in await counted.look(token)}
    assert used == {"tokens_per_day": 3, "money_per_day": 0}


def test_a_run_is_counted_by_whom_and_whence_a_limit_counts_it(store: Store) -> None:
    by_minute = limits(store, Clock(), runs_per_minute=3, public={"address_runs_per_minute": 3})
    at_once = limits(store, Clock(), page_runs_per_minute=0, person={"runs_at_once": 3})
    found = by_minute.open(MIA), by_minute.open(visitor(), came_from="203.0.113.9"), at_once.open(MIA, at_page=True)
    mia, visiting, held = (one.counts for one in found if one)
    assert (mia, held) == (RunCounts("member:mia", None), RunCounts("member:mia", None))
    assert (visiting.counted_as, visiting.came_from is None) == (str(visitor().owner), False)
    assert limits(store, Clock(), page_runs_per_minute=0).open(MIA, at_page=True) is None


def tell(caller: Caller, of: LimitSubject, what: LimitKind, most: float, resets: int | None) -> tuple[str, str | None]:
    found = Remaining(Limit(of, what, most, f"limits.{of}.{what}"), most, resets)
    refused = limit_reached_error(found, caller, currency="EUR")
    return refused.message, refused.hint


def test_a_program_is_told_its_limit_and_the_setting() -> None:
    for person, begins in (
        (None, "This token may start 2 runs a minute."),
        ("mia", "Your programs and pages may together start 2 runs a minute."),
    ):
        for resets_in, seconds in ((31, 31), (None, 60)):
            told = tell(Caller("token", "t", "member", person=person), "person", "runs_per_minute", 2, resets_in)
            hint = f"Try again in {seconds} s. The limit is set by limits.person.runs_per_minute."
            assert told == (begins, hint)


@pytest.mark.parametrize(
    ("caller", "of", "hint"),
    [
        (MIA, "person", "The limit is 3 a minute."),
        (Caller("token", "try:mia", "member"), "person", "The limit is 3 a minute."),
        (MIA, "address", "Many messages are coming from your network."),
        (MIA, "flow", "This flow answers 3 times a minute."),
        (Caller("token", "t", "member"), "flow", "This flow answers 3 times a minute."),
    ],
)
def test_a_person_is_told_when_they_may_go_on(caller: Caller, of: LimitSubject, hint: str) -> None:
    assert tell(caller, of, "runs_per_minute", 3, 5) == ("You can send the next message in 5 s.", hint)


def test_of_a_day_one_is_told_what_was_used_and_when_it_begins_anew() -> None:
    used = "used the 1,000 tokens that {} may use a day; the limit resets at 00:00 UTC, in 2 h."
    assert tell(MIA, "person", "tokens_per_day", 1_000, 7_200)[0] == f"You have {used.format('you')}"
    assert tell(MIA, "flow", "tokens_per_day", 1_000, 7_200)[0] == f"This flow has {used.format('it')}"
    assert "used the 0.5 EUR that you" in tell(MIA, "person", "money_per_day", 0.5, 60)[0]


def test_the_rest_of_a_day_is_said_in_hours_and_minutes() -> None:
    said = {3_601: "2 h", 3_600: "60 min", 7_200: "2 h", 86_400: "24 h", 61: "2 min", 60: "1 min", 3_539: "59 min"}
    limit = Limit("person", "tokens_per_day", 1, "x")
    found = {seconds: write_reset(Remaining(limit, 1, seconds)) for seconds in said}
    assert found == {seconds: f"at 00:00 UTC, in {words}" for seconds, words in said.items()}
    assert write_reset(Remaining(limit, 1, None)) == ""
