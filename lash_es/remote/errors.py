"""What is wrong with what came over a wire, or cannot go over one: the field and the reason."""

from typing import ClassVar

from attrs import define

from lash_es.core.errors import LashError


class RemoteProtocolError(LashError):
    """A remote value is not what the protocol says; nothing was done."""

    terminal_by_kind: ClassVar[bool] = True


@define(kw_only=True)
class UnsupportedProtocolVersion(RemoteProtocolError):
    """The value speaks another version of the protocol."""

    field: str
    found: int
    expected: int

    def _summary(self) -> str:
        return f"{self.field}: protocol version {self.found}, expected {self.expected}"


@define(kw_only=True)
class MismatchedNestedProtocolVersion(RemoteProtocolError):
    """A value inside speaks another version than the one around it."""

    field: str
    found: int
    expected: int

    def _summary(self) -> str:
        return f"{self.field}: protocol version {self.found} inside one of {self.expected}"


@define(kw_only=True)
class MissingRequiredField(RemoteProtocolError):
    """A field is not there, or says nothing."""

    field: str

    def _summary(self) -> str:
        return f"{self.field} is missing or blank"


@define(kw_only=True)
class InvalidField(RemoteProtocolError):
    """A field holds what it cannot hold."""

    field: str
    reason: str

    def _summary(self) -> str:
        return f"{self.field}: {self.reason}"


@define(kw_only=True)
class NonRemoteSafeTurnInput(RemoteProtocolError):
    """An input has a part that no wire carries, or that this runtime cannot take from one."""

    reason: str

    def _summary(self) -> str:
        return f"the input cannot cross a wire: {self.reason}"
