"""What is still known of inputs that have left the state: all that was not pruned since."""

from lash_es.core.ids import InputId
from lash_es.core.inputs import Inputs
from lash_es.core.known import InputEntry, Known


def settled_input(inputs: Inputs, known: Known, input_id: InputId) -> InputEntry | None:
    """Return what became of the input, unless it was pruned."""
    entry = known.settled_input(input_id)
    return None if entry is None or entry.settled < inputs.pruned_below else entry


def is_forgotten(inputs: Inputs, known: Known, input_id: InputId) -> bool:
    """Tell whether an input that once was is neither waiting nor remembered."""
    return input_id not in inputs.pending and settled_input(inputs, known, input_id) is None
