"""Ids that are drawn many at once are as random as those of `uuid4`, each one's own."""

import os
from uuid import UUID

from flowground.core.caller import make_id


def _make(count: int) -> list[str]:
    return [make_id() for _ in range(count)]


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
