"""What a host may name an input by, when it cancels: its id, or the key it was sent under."""

from typing import TypeAlias

from attrs import frozen


@frozen
class InputId:
    """The input of this id."""

    value: str


@frozen
class SourceKey:
    """The input that was sent under this key, in full (``host:...`` of an ``enqueue``)."""

    value: str


CancelTarget: TypeAlias = InputId | SourceKey
