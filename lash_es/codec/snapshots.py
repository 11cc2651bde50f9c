"""
Snapshots: a folded state as bytes, for whoever would otherwise fold it again (ADR 0020).

1. Content is a seal and canonical JSON; the seal is SHA-256(``lash-es/snapshot`` + fingerprint +
   the last fact's digest + JSON): a changed byte, and a snapshot of other facts, are told at once.
2. The fingerprint says which code wrote it: the shapes of the state, and ``EVOLVE_VERSION``. What
   another code wrote is never converted: facts are.
3. Mappings are lists of pairs, since their order is part of the state.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Final, TypeAlias, cast, get_args, get_origin

from cattrs import BaseConverter
from cattrs.dispatch import StructureHook, UnstructureHook
from cattrs.gen import make_dict_unstructure_fn, override
from cattrs.preconf.orjson import OrjsonConverter

from lash_es.codec.canonical import canonical_bytes, plain_values
from lash_es.codec.errors import UndecodableValue
from lash_es.codec.records import DIGEST_BYTES
from lash_es.codec.shapes import strict_converter, tag_union
from lash_es.codec.state_shapes import fingerprint
from lash_es.core.batches import MergeKey
from lash_es.core.effects import EffectRequest
from lash_es.core.events import TurnOrigin
from lash_es.core.ingress import TurnInputIngress
from lash_es.core.outcomes import EffectOutcome
from lash_es.core.owners import Liveness
from lash_es.core.state import Deleted, Open
from lash_es.core.transcripts import NodeSource
from lash_es.core.turns import Step, Turn

SnapshotState: TypeAlias = Open | Deleted

# A union is a type for cattrs, and for no type checker.
_STATE: Final = cast("type[SnapshotState]", SnapshotState)
_SEAL: Final = b"lash-es/snapshot"
_WHAT: Final = "snapshot"
_UNIONS: Final = (
    SnapshotState,
    Turn,
    Step,
    Liveness,
    TurnInputIngress,
    NodeSource,
    TurnOrigin,
    EffectRequest,
    EffectOutcome,
    MergeKey,
)


def encode_snapshot(state: SnapshotState, digest: bytes) -> bytes:
    """
    Encode the state after the fact with this digest.

    Raises:
        UnencodableValue: a sum in it has outgrown what is stored exactly. The state is sound.
    """
    encoded = state_bytes(state, _WHAT)
    return _seal(encoded, digest) + encoded


def decode_snapshot(content: bytes, digest: bytes) -> SnapshotState:
    """
    Decode what ``encode_snapshot`` made here, for the same digest.

    Raises:
        UndecodableValue: it is damaged, or of other facts, or another code wrote it.
    """
    seal, encoded = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if seal != _seal(encoded, digest):
        raise UndecodableValue(what=_WHAT, reason="its seal is not that of its bytes")
    return state_of_plain(plain_values(encoded, _WHAT), _WHAT)


def state_bytes(state: SnapshotState, what: str) -> bytes:
    """Encode a state as canonical JSON; ``what`` names it in the error."""
    return canonical_bytes(_converter().unstructure(state, _STATE), what)


def state_of_plain(plain: Mapping[str, object], what: str) -> SnapshotState:
    """Turn plain values into the state that they promise to be."""
    try:
        return _converter().structure(plain, _STATE)
    except Exception as cause:
        reason = f"{type(cause).__name__}: {cause}"[:300]
        raise UndecodableValue(what=what, reason=reason) from cause


def _seal(encoded: bytes, digest: bytes) -> bytes:
    return hashlib.sha256(_SEAL + fingerprint().encode() + digest + encoded).digest()


@cache
def _converter() -> OrjsonConverter:
    """Make the converter when it is first needed: it takes longer than an import may."""
    made = strict_converter()
    made.register_structure_hook_factory(_is_mapping, _pairs_structure_hook)
    made.register_unstructure_hook_factory(_is_mapping, _pairs_unstructure_hook)
    made.register_unstructure_hook_factory(_is_open, _open_unstructure_hook)
    for union in _UNIONS:
        tag_union(union, made)
    return made


def _is_mapping(kind: object) -> bool:
    return get_origin(kind) is Mapping


def _is_open(kind: object) -> bool:
    return kind is Open


def _open_unstructure_hook(_: object, converter: BaseConverter) -> UnstructureHook:
    """
    Leave out what there never was any of: states that trims have kept before there was queued work
    or frames have the bytes that they are committed to.
    """
    unused_is_omitted = override(omit_if_default=True)
    return make_dict_unstructure_fn(
        Open,
        converter,
        work=unused_is_omitted,
        graph=unused_is_omitted,
        birth=unused_is_omitted,
    )


def _pairs_unstructure_hook(kind: object, converter: BaseConverter) -> UnstructureHook:
    of_key, of_value = map(converter.get_unstructure_hook, get_args(kind))

    def unstructure(mapping: Mapping[object, object]) -> list[tuple[object, object]]:
        return [(of_key(key), of_value(value)) for key, value in mapping.items()]

    return unstructure


def _pairs_structure_hook(kind: object, converter: BaseConverter) -> StructureHook:
    key_kind, value_kind = get_args(kind)
    of_key, of_value = map(converter.get_structure_hook, (key_kind, value_kind))

    def structure(pairs: Sequence[Sequence[object]], _: object) -> Mapping[object, object]:
        return MappingProxyType(
            {of_key(key, key_kind): of_value(value, value_kind) for key, value in pairs}
        )

    return structure
