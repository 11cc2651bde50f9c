"""
What is kept of a simulated run: its workload, what came of it, and the one line that replays it.

A trace is judged again by running it again. One whose facts are others, because it was tampered
with or because the code is another, is refused.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from attrs import asdict, frozen
from attrs import evolve as with_changes

from lash_es.core.decide import decide
from lash_es.log.port import Store
from lash_es.verify.checkers import Violation, violations
from lash_es.verify.evidence import Evidence
from lash_es.verify.simulation import simulate
from lash_es.verify.workloads import (
    WORKLOADS_VERSION,
    Disturbance,
    Profile,
    Verb,
    Workload,
    profile_of,
    workload,
)
from lash_es.verify.worlds import Decide

EmptyStore: TypeAlias = Callable[[], Store]
BROKEN: Final = "run broke off"


class TraceDiffers(Exception):
    """Played again, the trace comes to something else; the message says where."""


@frozen(kw_only=True)
class Trace:
    """A workload, the digest of each session's last fact, and what did not hold."""

    workload: Workload
    digests: tuple[str, ...]
    violations: tuple[Violation, ...]

    @property
    def line(self) -> str:
        """The one line that replays a run of this seed, if nothing was left out of it."""
        line = f"python -m tests.check replay {self.workload.seed:#x}"
        name = self.workload.profile.name
        return line if name == "fast" else f"{line} --profile {name}"


def traced(what: Workload, store: Store, decide: Decide = decide) -> Trace:
    """Run a workload and judge it; a run that breaks off is a violation as well."""
    try:
        evidence: Evidence = simulate(what, store, decide)
    except Exception as cause:  # noqa: BLE001 - whatever it is, it is to be replayed
        broken = Violation(oracle=BROKEN, session=0, witness=f"{type(cause).__name__}: {cause}")
        return Trace(workload=what, digests=(), violations=(broken,))
    return Trace(
        workload=what,
        digests=tuple(evidence.digests.values()),
        violations=violations(evidence),
    )


def run_seed(seed: int, profile: str, store: Store, decide: Decide = decide) -> Trace:
    """Make the workload of a seed, run it, and judge it."""
    return traced(workload(seed, profile_of(profile)), store, decide)


def packed(trace: Trace) -> str:
    """Write a trace as JSON: all that is needed to see the same again."""
    what = asdict(trace.workload, value_serializer=_plain)
    kept = {
        "version": WORKLOADS_VERSION,
        "command": trace.line,
        "workload": what,
        "digests": trace.digests,
        "violations": [asdict(each) for each in trace.violations],
    }
    return json.dumps(kept, indent=1) + "\n"


def _plain(instance: object, attribute: object, value: object) -> object:
    del instance, attribute
    return value.value if isinstance(value, Verb) else value


def unpacked(text: str) -> Trace:
    """
    Read a trace.

    Raises:
        TraceDiffers: it is of another version of the workloads.
    """
    kept = json.loads(text)
    if kept["version"] != WORKLOADS_VERSION:
        raise TraceDiffers(f"version {kept['version']}, this is {WORKLOADS_VERSION}")
    what = kept["workload"]
    disturbances = tuple(
        Disturbance(
            at_ms=each["at_ms"],
            verb=Verb(each["verb"]),
            session=each["session"],
            worker=each["worker"],
            number=each["number"],
        )
        for each in what["disturbances"]
    )
    return Trace(
        workload=Workload(
            seed=what["seed"], profile=Profile(**what["profile"]), disturbances=disturbances
        ),
        digests=tuple(kept["digests"]),
        violations=tuple(Violation(**each) for each in kept["violations"]),
    )


def replay(trace: Trace, store: Store, decide: Decide = decide) -> Trace:
    """
    Play a trace again on an empty store.

    Raises:
        TraceDiffers: it comes to other facts, or to another verdict.
    """
    again = traced(trace.workload, store, decide)
    if again.digests != trace.digests:
        raise TraceDiffers(f"facts {again.digests}, the trace says {trace.digests}")
    if again.violations != trace.violations:
        raise TraceDiffers(f"verdict {again.violations}, the trace says {trace.violations}")
    return again


def minimised(trace: Trace, empty: EmptyStore, decide: Decide = decide) -> Trace:
    """Leave out disturbances for as long as the same oracle says no."""
    oracle = trace.violations[0].oracle
    smallest = trace
    size = max(1, len(trace.workload.disturbances) // 2)
    while size > 0:
        smaller = _smaller(smallest, size, oracle, empty, decide)
        if smaller is None:
            size //= 2
        else:
            smallest = smaller
    return smallest


def _smaller(
    trace: Trace, size: int, oracle: str, empty: EmptyStore, decide: Decide
) -> Trace | None:
    for rest in _without(trace.workload.disturbances, size):
        tried = traced(with_changes(trace.workload, disturbances=rest), empty(), decide)
        if any(each.oracle == oracle for each in tried.violations):
            return tried
    return None


def _without(disturbances: Sequence[Disturbance], size: int) -> Iterator[tuple[Disturbance, ...]]:
    for first in range(0, len(disturbances), size):
        yield (*disturbances[:first], *disturbances[first + size :])
