"""What a host hands in, checked at the edge: a short form is completed, the rest is refused."""

from os import PathLike
from pathlib import Path

from lash_es.core.messages import TurnInput
from lash_es.core.policy import ModelSpec
from lash_es.log.archiving import FolderArchive
from lash_es.log.removing import Archive
from lash_es.runtime.faults import InvalidArgument
from lash_es.runtime.providers import Provider


def as_turn_input(turn_input: object) -> TurnInput:
    """
    Let a text stand for an input of one text; what is more than an input is refused: what it
    carries would be dropped.
    """
    if isinstance(turn_input, str):
        return TurnInput.of_text(turn_input)
    if isinstance(turn_input, TurnInput) and type(turn_input) is TurnInput:
        return turn_input
    raise _invalid("the turn's input", turn_input, "a text or a TurnInput")


def as_model_spec(model: object) -> ModelSpec:
    """Let a name stand for a model without settings."""
    if isinstance(model, str):
        return ModelSpec(model_id=model)
    if isinstance(model, ModelSpec):
        return model
    raise _invalid("model", model, "a name or a ModelSpec")


def as_session_id(session_id: object) -> str:
    """Refuse what is no text; whether the text will do is decided when the session is opened."""
    if isinstance(session_id, str):
        return session_id
    raise _invalid("the session's id", session_id, "a text")


def as_provider(provider: Provider | None) -> Provider | None:
    """Refuse a provider's name where the provider itself is wanted."""
    if isinstance(provider, str):
        raise _invalid("provider", provider, f"a Provider, such as lash_es.provider({provider!r})")
    return provider


def as_archive(archive: Archive | str | PathLike[str]) -> Archive:
    """
    Let a path stand for an archive in that folder.

    Raises:
        OSError: the folder cannot be made.
    """
    if isinstance(archive, str | PathLike):
        folder = Path(archive)
        folder.mkdir(parents=True, exist_ok=True)
        return FolderArchive(folder)
    return archive


def as_max_turns(max_turns: int | None) -> int | None:
    """Refuse a bound that would leave a turn without any model call."""
    if max_turns is None or max_turns >= 1:
        return max_turns
    raise _invalid("max_turns", max_turns, "none, or a whole number from 1 on")


def _invalid(argument: str, found: object, expected: str) -> InvalidArgument:
    shown = repr(found) if isinstance(found, str | int) else type(found).__name__
    return InvalidArgument(argument=argument, found=shown[:100], expected=expected)
