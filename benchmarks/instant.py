"""A model that answers at once: every turn asks for one tool call and then says the answer."""

from attrs import frozen

from benchmarks.load import our_turn
from lash_es import ModelReply, ModelRequest
from lash_es.core.messages import ToolResultPart
from lash_es.runtime.providers import DeltaSink

_FIRST_REPLY, _FOUND, _ANSWER = our_turn(0)[1:]


def search_documents(query: str, limit: int) -> str:
    """Find documents."""
    del query, limit
    return _FOUND.text


@frozen
class Instant:
    """A provider in this process."""

    kind: str = "instant"

    def check(self, model_id: str) -> None:
        """Every name will do."""

    async def request(self, request: ModelRequest, on_delta: DeltaSink) -> ModelReply:
        """Ask for the tool, or answer if it has been asked."""
        del on_delta
        last = request.messages[-1]
        is_answer = any(isinstance(part, ToolResultPart) for part in last.parts)
        return _ANSWER if is_answer else _FIRST_REPLY

    async def aclose(self) -> None:
        """There is nothing to close."""
