"""The units of work W1 to W5, as cases: where, how many tasks, which history, who takes part."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from attrs import frozen

from benchmarks import ours, raw_postgres, raw_sqlite
from benchmarks.contests import Case, Contender
from benchmarks.peers import contenders
from benchmarks.places import Setting, StoreKind
from lash_es import Durability

HISTORIES: Final = (10, 1_000, 10_000)
RUN_HISTORY_MAX: Final = 1_000
"""A turn that asks a model reads the whole history for it: what it costs shows here already."""
REPLAYED_TURNS: Final = 1_000
SESSIONS: Final = 100

_RAW: Final = {StoreKind.SQLITE: raw_sqlite, StoreKind.POSTGRES: raw_postgres}


@frozen(kw_only=True)
class Selection:
    """What is to be measured; ``is_quick`` keeps each slice short and the histories small."""

    kinds: Sequence[StoreKind] = tuple(StoreKind)
    with_peers: bool = True
    is_quick: bool = False

    @property
    def histories(self) -> Sequence[int]:
        """The histories, in turns; the short form leaves the longest out."""
        return HISTORIES[:-1] if self.is_quick else HISTORIES

    def operations(self, many: int) -> int:
        """How many operations a slice has."""
        return many // 4 if self.is_quick else many


def name(unit: str, kind: StoreKind, durability: Durability, variant: str) -> str:
    """Name a case; durability is said on SQLite only, since PostgreSQL has one here."""
    where = kind.value if kind is StoreKind.POSTGRES else f"{kind.value} {durability.value}"
    return f"{unit} {where}, {variant}"


def tasks_variant(tasks: int) -> str:
    """Name how many tasks work on how many sessions."""
    return "1 task" if tasks == 1 else f"{tasks} tasks"


def history_variant(history: int) -> str:
    """Name how long the history is."""
    return f"H={history}"


def w1(selection: Selection) -> Iterator[Case]:
    """Enqueue: an input of 200 bytes, durable when it is acknowledged."""
    for kind, durability in _places(selection):
        for tasks, operations in ((1, 400), (8, 1_600), (64, 3_200)):
            raw = _RAW[kind]
            floor: tuple[Contender, ...] = (raw.INPUTS,)
            if tasks > 1:
                floor = (raw.INPUTS, raw.GROUPED)
            keys = _peer_keys("w1", durability, tasks)
            setting = _setting(kind, durability, tasks, selection.operations(operations))
            yield _case(selection, "w1", setting, (*floor, ours.INPUTS), keys)


def w2(selection: Selection) -> Iterator[Case]:
    """Enqueue, claim and complete one input: three commits."""
    for kind, durability in _places(selection):
        for tasks, operations in ((1, 200), (8, 800)):
            own: tuple[Contender, ...] = (_RAW[kind].CYCLES, ours.CYCLES)
            if tasks == 1:
                own = (*own, ours.QUEUED_TURNS)
            keys = _peer_keys("w2", durability, tasks) if tasks == 1 else ()
            setting = _setting(kind, durability, tasks, selection.operations(operations))
            yield _case(selection, "w2", setting, own, keys)


def w3(selection: Selection) -> Iterator[Case]:
    """Commit a turn of four messages, 4 KB, to a session that has a history already."""
    for kind, durability in _places(selection):
        for history in selection.histories:
            raw = _RAW[kind]
            own: tuple[Contender, ...] = (raw.TURNS, raw.WHOLE_TURNS, ours.TURNS)
            if history <= RUN_HISTORY_MAX:
                own = (*own, ours.RUN_TURNS)
            keys = _peer_keys("w3", durability, 1)
            setting = _setting(kind, durability, 1, selection.operations(160), history)
            yield _case(selection, "w3", setting, own, keys)


def w4(selection: Selection) -> Iterator[Case]:
    """Open a session that has a history: to be ready, and to have read all of it."""
    for kind in selection.kinds:
        for history in selection.histories:
            raw = _RAW[kind]
            own = (raw.TAIL, raw.ALL, ours.OPEN, ours.COLD_OPEN, ours.WHOLE_HISTORY)
            setting = _setting(kind, Durability.FULL, 1, selection.operations(40), history)
            yield _case(selection, "w4", setting, own, ("w4",))


def w5(selection: Selection) -> Iterator[Case]:
    """Replay a session from its first fact: read, check the chain, decode, fold."""
    for kind in selection.kinds:
        setting = _setting(kind, Durability.FULL, 1, 8, REPLAYED_TURNS)
        yield _case(selection, "w5", setting, (ours.REPLAY,), ("w5",))


UNITS: Final = {"w1": w1, "w2": w2, "w3": w3, "w4": w4, "w5": w5}


def _places(selection: Selection) -> Iterable[tuple[StoreKind, Durability]]:
    for kind in selection.kinds:
        yield kind, Durability.FULL
        if kind is StoreKind.SQLITE:
            yield kind, Durability.NORMAL


def _peer_keys(unit: str, durability: Durability, tasks: int) -> tuple[str, ...]:
    """Peers stand only beside their own class of durability; some cannot work at once."""
    if durability is Durability.NORMAL:
        return (f"{unit}/normal",) if tasks == 1 else ()
    if tasks == 1:
        return (unit, f"{unit}/alone")
    return (unit,) if tasks == 8 else ()


def _setting(
    kind: StoreKind, durability: Durability, tasks: int, operations: int, history: int = 0
) -> Setting:
    return Setting(
        kind=kind,
        durability=durability,
        tasks=tasks,
        sessions=1 if tasks == 1 else SESSIONS,
        history=history,
        operations=operations,
    )


def _case(
    selection: Selection,
    unit: str,
    setting: Setting,
    own: Sequence[Contender],
    keys: Sequence[str],
) -> Case:
    able: list[Contender] = []
    absent: list[str] = []
    for key in keys if selection.with_peers else ():
        found, not_installed = contenders(key, setting.kind)
        able += found
        absent += not_installed
    history, tasks = setting.history, setting.tasks
    variant = history_variant(history) if history else tasks_variant(tasks)
    return Case(
        name=name(unit, setting.kind, setting.durability, variant),
        setting=setting,
        contenders=(*own, *able),
        not_installed=tuple(absent),
    )
