"""
Bodies of a trim, to bytes and back. The media type names the page and its version.

They are canonical JSON, so that the same history makes the same pages. Unlike a snapshot they are
read for ever: an older page comes through ``upcast.py``, as every other body does.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias, TypeVar

from lash_es.codec.canonical import canonical_bytes, plain_values
from lash_es.codec.errors import UndecodableValue
from lash_es.codec.shapes import from_plain, to_plain
from lash_es.codec.snapshots import state_bytes, state_of_plain
from lash_es.codec.upcast import upcast
from lash_es.codec.wire_names import BODY_TYPES
from lash_es.core.bodies import NewBody
from lash_es.core.trims import BodyPage, CommitPage, IndexPage, KeptState, TrimPage

TrimContent: TypeAlias = KeptState | TrimPage
_T = TypeVar("_T")

_KINDS: Final[Mapping[str, type[TrimContent]]] = {
    BODY_TYPES[kind][0]: kind for kind in (KeptState, IndexPage, CommitPage, BodyPage)
}


def is_trim_content(media_type: str) -> bool:
    """
    Tell whether a body is one of a trim. It holds nothing that was not in headers before, and is
    needed to fold: so it is never sealed.
    """
    return media_type.partition(";")[0] in _KINDS


def encode_trim_content(content: TrimContent, salt: bytes) -> NewBody:
    """
    Encode the state or a page, to be committed to under ``salt``.

    Raises:
        UnencodableValue: a sum in the state has outgrown what is stored exactly.
    """
    name, version = BODY_TYPES[type(content)]
    if isinstance(content, KeptState):
        encoded = state_bytes(content.state, name)
    else:
        encoded = canonical_bytes(to_plain(content), name)
    return NewBody(content=encoded, salt=salt, media_type=f"{name};v={version}")


def decode_trim_content(stored: bytes, media_type: str) -> TrimContent:
    """
    Decode the state or a page.

    Raises:
        UndecodableValue: it is not what its media type says, or that says nothing known here.
    """
    name, _, version = media_type.partition(";v=")
    kind = _KINDS.get(name)
    current = 0 if kind is None else BODY_TYPES[kind][1]
    if kind is None or not version.isdecimal() or int(version) > current:
        raise UndecodableValue(what=media_type, reason="expected a body of a trim")
    plain = upcast(name, int(version), plain_values(stored, name), current=current)
    if kind is KeptState:
        return KeptState(state=state_of_plain(plain, name))
    return from_plain(plain, kind, name)


def pages_of(
    items: Iterable[_T], page: Callable[[tuple[_T, ...]], TrimPage], bytes_max: int
) -> Iterable[TrimPage]:
    """
    Put items on pages whose bytes, encoded, are about ``bytes_max`` at most; one item is always
    taken.

    Cost: each item is encoded once to be weighed.
    """
    taken: list[_T] = []
    bytes_count = 0
    for item in items:
        weight = len(canonical_bytes(to_plain(item), "page")) + 1
        if taken and bytes_count + weight > bytes_max:
            yield page(tuple(taken))
            taken, bytes_count = [], 0
        taken.append(item)
        bytes_count += weight
    if taken:
        yield page(tuple(taken))
