"""CPU time and memory of a process and its children, from /proc (Linux)."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Watch:
    pid: int

    def cpu(self) -> float:
        """Seconds of CPU used so far, by all of them."""
        used = 0
        for process in self._tree():
            stat = _read(process, "stat").rpartition(")")[2].split()
            used += int(stat[11]) + int(stat[12]) if stat else 0
        return used / _TICKS

    def memory(self) -> float:
        """Proportional set size (PSS) in MB: pages shared with other processes count by their share."""
        lines = [line for process in self._tree() for line in _read(process, "smaps_rollup").splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

    def wakes(self, *, seconds: float) -> float:
        """Wake-ups a second, watched for so long."""
        began, before = time.monotonic(), self._switches()
        time.sleep(seconds)
        return (self._switches() - before) / (time.monotonic() - began)

    def _switches(self) -> int:
        """Voluntary context switches so far of the threads that the process has now, without its children: each waited,
        and came back to work."""
        tasks = os.listdir(f"/proc/{self.pid}/task")
        lines = [line for task in tasks for line in _read(self.pid, f"task/{task}/status").splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches:"))

    def _tree(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit() and (stat := _read(int(name), "stat").rpartition(")")[2].split()):
                children.setdefault(int(stat[1]), []).append(int(name))
        found, left = [], [self.pid]
        while left:
            process = left.pop()
            found.append(process)
            left += children.get(process, [])
        return found


def _read(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_text()
    except OSError:
        return ""
