"""Ids that are drawn many at once are as random as those of `uuid4`, each one's own."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from flowground.core.caller import make_id


def _make(count: int) -> list[str]:
    return [make_id() for _ in range(count)]


def test_threads_draw_no_id_twice() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = Counter(name for names in pool.map(_make, [2_000] * 8) for name in names)
    assert (len(made), made.total()) == (16_000, 16_000)
    assert all(str(UUID(name)) == name and UUID(name).version == 4 for name in made)


def test_a_forked_process_draws_its_own() -> None:
    make_id()
    there, here = os.pipe()
    child = os.fork()
    if not child:
        os.write(here, make_id().encode())
        os._exit(0)
    os.close(here)
    os.waitpid(child, 0)
    with os.fdopen(there) as pipe:
        drawn = pipe.read()
    assert UUID(drawn).version == 4
    assert drawn not in _make(200)
