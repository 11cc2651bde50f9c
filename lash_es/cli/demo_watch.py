"""Following a session's log from the side, fact by fact, through a connection of one's own."""

from collections.abc import Iterator

from lash_es.codec.streams import StreamId
from lash_es.core.agenda import agenda
from lash_es.core.effects import Effect, ToolCall
from lash_es.core.events import EffectRequested, EffectSettled, TurnStarted
from lash_es.core.ids import EffectId
from lash_es.core.state import State
from lash_es.log.encoding import nothing_folded
from lash_es.log.loading import Fact, load_facts
from lash_es.log.port import Store
from lash_es.timetravel.history import Entry, History


class Watch:
    """What a session's log holds so far."""

    def __init__(self, store: Store, stream: StreamId) -> None:
        self._store = store
        self._folded = nothing_folded(stream)
        self._entries: list[Entry] = []
        self._tool_calls: set[EffectId] = set()
        self._settled: list[Fact] = []

    @property
    def history(self) -> History:
        """All that was seen."""
        return History(stream=self._folded.stream, entries=tuple(self._entries))

    @property
    def state(self) -> State:
        """The state after it."""
        return self._folded.state

    @property
    def settled_calls(self) -> tuple[Fact, ...]:
        """The outcomes of tool calls that the newest turn has recorded."""
        return tuple(self._settled)

    @property
    def open_calls(self) -> tuple[Effect, ...]:
        """The tool calls that are requested and have no outcome."""
        return tuple(
            effect for effect in agenda(self.state) if isinstance(effect.request, ToolCall)
        )

    def news(self) -> Iterator[Fact]:
        """
        Read what was recorded since the last look, every record checked.

        Raises:
            CorruptHistory: the log is damaged.
        """
        for fact, folded in load_facts(self._store, self._folded):
            self._folded = folded
            self._entries.append(Entry(event=fact.event, header=fact.header))
            self._note(fact)
            yield fact

    def _note(self, fact: Fact) -> None:
        event = fact.event
        if isinstance(event, TurnStarted):
            self._settled.clear()
        elif isinstance(event, EffectRequested) and isinstance(event.request, ToolCall):
            self._tool_calls.add(event.effect_id)
        elif isinstance(event, EffectSettled) and event.effect_id in self._tool_calls:
            self._settled.append(fact)
