"""
``python -m benchmarks``: every unit of work beside its floor and its peers, and the goals.

``python -m benchmarks --goals`` measures what the goals compare and nothing else: the run that
shows them. ``python -m benchmarks w1 w3 --store sqlite --rounds 5`` measures a part of everything,
``--quick`` a short form, ``--list`` says what there is. Results are written to ``results/``.
"""

import argparse
import asyncio
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen

from benchmarks.compared import only_compared
from benchmarks.contests import Case, Measured, Spread, contest
from benchmarks.goals import Results
from benchmarks.importing import imports
from benchmarks.measuring import RESULTS, Result, machine
from benchmarks.peers import peers
from benchmarks.places import StoreKind
from benchmarks.processes import processes
from benchmarks.reporting import (
    case_lines,
    git_commit,
    goal_lines,
    goal_results,
    show,
    versions,
)
from benchmarks.servers import settings
from benchmarks.subscribers import subscribers
from benchmarks.units import UNITS, Selection
from benchmarks.volumes import volumes

FURTHER: Final = ("w6", "w7", "import", "processes")
_READABLE: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


@frozen(kw_only=True)
class Run:
    """What was asked for."""

    units: Sequence[str]
    selection: Selection
    rounds: int
    seconds_max: float
    arguments: Sequence[str]
    only_goals: bool = False

    def cases(self, unit: str) -> Iterable[Case]:
        """List the cases of a unit; some units are no cases."""
        found = UNITS[unit](self.selection) if unit in UNITS else ()
        return only_compared(found) if self.only_goals else found


def asked(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = (*UNITS, *FURTHER)
    parser.add_argument("units", nargs="*", metavar="unit", help=f"of {', '.join(known)}; or all")
    parser.add_argument("--store", choices=[kind.value for kind in StoreKind])
    parser.add_argument("--rounds", type=int, help="5, or 2 if quick")
    parser.add_argument("--seconds", type=float, default=2.0, help="at most, for each slice")
    parser.add_argument("--quick", action="store_true", help="2 rounds, short slices")
    parser.add_argument("--goals", action="store_true", help="only what goals compare")
    parser.add_argument("--no-peers", action="store_true", help="only ours and the floor")
    parser.add_argument("--name", default="log", help="of the file of results")
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the file is written")
    parser.add_argument("--list", action="store_true", help="say what there is")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.units) - set(known))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return options


def listed(selection: Selection) -> None:
    """Say which cases there are, and which peers are installed."""
    for unit, cases in UNITS.items():
        show([f"{unit}: {(cases.__doc__ or '').strip()}"])
        show(f"    {case.name}" for case in cases(selection))
    show([f"further: {', '.join(FURTHER)}"])
    show(
        f"peer {peer.name}: {'installed' if peer.is_installed else 'not installed'}"
        for peer in peers()
    )


async def measured(run: Run, cases: dict[str, Measured], figures: dict[str, Spread]) -> None:
    """Measure what was asked for, and show and hand over each case as soon as it is done."""
    for unit in run.units:
        for case in run.cases(unit):
            done = await contest(case, rounds=run.rounds, seconds_max=run.seconds_max)
            cases[case.name] = done
            show(case_lines(done))
    if "w7" in run.units:
        figures.update(await volumes(run.selection.kinds))


def further(run: Run) -> Iterator[Callable[[], Mapping[str, Spread]]]:
    """List what is measured in other processes."""
    kinds = run.selection.kinds
    if "import" in run.units:
        yield partial(imports, 2 * run.rounds)
    if "w6" in run.units:
        yield partial(subscribers, kinds, run.rounds)
    if "processes" in run.units and StoreKind.POSTGRES in kinds:
        yield partial(processes, run.rounds)


def attempted(measure: Callable[[], Mapping[str, Spread]]) -> Mapping[str, Spread]:
    """Measure; what fails is shown, so that nobody loses the minutes before it."""
    try:
        return measure()
    except Exception:  # noqa: BLE001 - whatever it was, the rest of the run stands
        show(["", traceback.format_exc()])
        return {}


def main(arguments: Sequence[str]) -> None:
    """Measure, show and keep."""
    options = asked(arguments)
    kinds = tuple(StoreKind) if options.store is None else (StoreKind(options.store),)
    selection = Selection(kinds=kinds, with_peers=not options.no_peers, is_quick=options.quick)
    if options.list:
        listed(selection)
        return
    run = Run(
        units=options.units or (*UNITS, *FURTHER),
        selection=selection,
        rounds=options.rounds or (2 if options.quick else 5),
        seconds_max=0.5 if options.quick else options.seconds,
        # Where the file went is nobody's business, and differs on every machine.
        arguments=[word for word in arguments if word not in {"--to", str(options.to)}],
        only_goals=options.goals,
    )
    cases: dict[str, Measured] = {}
    figures: dict[str, Spread] = {}
    try:
        asyncio.run(measured(run, cases, figures))
        for measure in further(run):
            figures |= attempted(measure)
    except KeyboardInterrupt:
        show(["\ninterrupted: what was measured until then is kept"])
    results = Results(cases=cases, figures=figures)
    show(goal_lines(results))
    path = Path(options.to) / f"{_today()}-{options.name}.json"
    path.write_bytes(orjson.dumps(kept(run, results), option=_READABLE))
    show([f"\nwritten to {path.name}"])


def kept(run: Run, results: Results) -> Result:
    """Put together what is written down."""
    has_postgres = StoreKind.POSTGRES in run.selection.kinds
    return {
        "question": "the goals of the log, in interleaved rounds beside the floor and the peers",
        "date": _today(),
        "commit": git_commit(),
        "machine": machine(),
        "versions": versions(),
        "postgres": settings() if has_postgres else None,
        "command": f"python -m benchmarks {' '.join(run.arguments)}".rstrip(),
        "rounds": run.rounds,
        "goals": goal_results(results),
        "figures": {name: str(figure) for name, figure in results.figures.items()},
        "cases": [case.result() for case in results.cases.values()],
    }


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


if __name__ == "__main__":
    main(sys.argv[1:])
