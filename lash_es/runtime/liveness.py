"""
Processes as lease owners: who this process is, and whether a holder's process has ended.

What the system does not tell is not guessed: this process is then an opaque owner, and a holder
counts as alive.
"""

import os
import socket
from pathlib import Path
from typing import Final

from lash_es.core.owners import (
    LeaseOwner,
    Liveness,
    LocalProcess,
    Opaque,
    ProcessGone,
    ProcessRunning,
    ProcessSight,
    ProcessUnseen,
)
from lash_es.log.machines import boot_id

PROCESSES: Final = Path("/proc")
_START_FIELD: Final = 22 - 3
"""The start time is field 22 of ``/proc/{pid}/stat``; field 3 is the first after the name."""


def this_process(processes: Path = PROCESSES) -> Liveness:
    """Identify this process, or say nothing of it where the system does not."""
    sight = look_for(os.getpid(), processes)
    boot = boot_id()
    if not isinstance(sight, ProcessRunning) or not boot:
        return Opaque()
    return LocalProcess(
        host_id=socket.gethostname(),
        boot_id=boot,
        pid=os.getpid(),
        process_start=sight.process_start,
    )


def look_for(pid: int, processes: Path = PROCESSES) -> ProcessSight:
    """
    Look for a process on this machine.

    Cost: one small read of what the kernel keeps in memory.
    """
    if not (processes / "self").exists():
        return ProcessUnseen()
    try:
        stat = (processes / str(pid) / "stat").read_text("ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ProcessGone()
    except OSError:
        return ProcessUnseen()
    # The name stands in brackets and may hold anything, brackets and blanks included.
    fields = stat.rpartition(")")[2].split()
    start = fields[_START_FIELD] if len(fields) > _START_FIELD else ""
    return ProcessRunning(int(start)) if start.isdecimal() else ProcessUnseen()


def sight_of(holder: LeaseOwner) -> ProcessSight:
    """Look for a holder's process, if it has said which one it is."""
    liveness = holder.liveness
    return look_for(liveness.pid) if isinstance(liveness, LocalProcess) else ProcessUnseen()
