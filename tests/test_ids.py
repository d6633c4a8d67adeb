"""Ids are UUIDs in the order of their time, with as many random bits as version 7 has, each one's own."""

import os
import time
from uuid import RFC_4122, UUID

from flowground.core.caller import make_id


def _make(count: int) -> list[str]:
    return [make_id() for _ in range(count)]


def test_an_id_begins_with_its_time_and_the_rest_is_random() -> None:
    before, ids, after = time.time_ns(), [UUID(one) for one in _make(20_000)], time.time_ns()
    assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}
    assert all(before // 1_000_000 <= one.int >> 80 <= after // 1_000_000 for one in ids)
    times = [one.int >> 80 for one in ids]
    assert times == sorted(times)
    free = [*range(62), *range(64, 76)]
    for bit in free:  # each of the 74 is as often set as not: 8 sigma of 20,000
        assert 9_400 < sum(one.int >> bit & 1 for one in ids) < 10_600, bit
    assert len({one.int & sum(1 << bit for bit in free) for one in ids}) == len(ids)


def test_a_forked_process_draws_its_own() -> None:
    make_id()
    there, here = os.pipe()
    child = os.fork()
    if not child:
        os.write(here, "".join(_make(64)).encode())
        os._exit(0)
    os.close(here)
    os.waitpid(child, 0)
    with os.fdopen(there) as pipe:
        drawn = pipe.read()
    assert len(drawn) == 64 * 36
    assert not {drawn[at + 14 : at + 36] for at in range(0, len(drawn), 36)} & {one[14:] for one in _make(200)}
