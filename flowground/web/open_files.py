"""How many files and connections the process may have open."""

import sys
from contextlib import suppress

_ENOUGH = 65_536
"""No process of ours needs more, and child processes that look at each possible descriptor inherit the number."""


def allow_open_files() -> int:
    """Raises the process's soft limit to what it may give itself; returns it. Systems start many with 1,024.

    Every connection is a descriptor, every page four. Windows has no such limit.
    """
    if sys.platform == "win32":
        return _ENOUGH
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a second limit that it does not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else soft
