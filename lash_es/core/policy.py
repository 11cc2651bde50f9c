"""
Slice: how a session wants to be run.

The host's word at opening wins; the recorded provider stays recorded.
"""

from attrs import frozen


@frozen(kw_only=True)
class ModelSpec:
    """
    Which model, and how to call it.

    ``settings_json`` is the canonical JSON text of an object of settings (temperature and the
    like): text, since header values hold no floating-point numbers.
    """

    model_id: str
    settings_json: str = "{}"


@frozen(kw_only=True)
class SessionPolicy:
    """
    What a turn is run with; a turn keeps the policy that was recorded at its start.

    ``max_turns`` bounds the model calls of one turn (none: only the limit does); ``instructions``
    is the system prompt.
    """

    provider_id: str
    model: ModelSpec
    max_turns: int | None = None
    instructions: str = ""
