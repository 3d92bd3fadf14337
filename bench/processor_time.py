"""How much processor time processes have used: unlike rates, it hardly depends on who else uses the machine.

What always holds: user and system time, in seconds since the process began; 0 where the system does not tell. Who calls
it: the benchmarks. It must not know: what the processes do.
"""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_USER, _SYSTEM = 11, 12
"""Places in ``/proc/PID/stat`` behind the name, which is in brackets and may hold anything."""


def used_s(pids: Iterable[int]) -> float:
    """Return the processor time that these processes have used together."""
    return sum(_used_s(pid) for pid in pids)


def _used_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_A_SECOND
