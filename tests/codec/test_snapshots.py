"""
Goal: a state comes back from its snapshot exactly as it was folded, order of mappings included;
and nothing but an undamaged snapshot of this code and these facts comes back at all.

Method: every state of random lives is taken through bytes and back.
"""

import hashlib
from collections import Counter
from types import MappingProxyType

import attrs
import pytest
from hypothesis import given

from lash_es.codec import snapshots
from lash_es.codec.errors import UndecodableValue, UnencodableValue
from lash_es.codec.snapshots import SnapshotState, decode_snapshot, encode_snapshot
from lash_es.codec.state_shapes import fingerprint
from lash_es.core.bodies import Commitment
from lash_es.core.evolve import fold
from lash_es.core.heads import Ledger, UsageKey
from lash_es.core.ids import InputId, Position, SessionId, TurnId
from lash_es.core.ingress import ActiveTurn
from lash_es.core.inputs import Inputs, PendingInput
from lash_es.core.limits import DEFAULT_LIMITS
from lash_es.core.messages import TokenUsage
from lash_es.core.state import Deleted, Open
from lash_es.core.turns import OpenTurn
from lash_es.log.stores.memory import MemoryStore
from tests.core.effort import effort
from tests.core.lives import Life, lives
from tests.log.tapes import play

DIGEST = hashlib.sha256(b"a fact").digest()
TAPE = play(MemoryStore()).events


def taped(version: int) -> SnapshotState:
    state = fold(TAPE[:version])
    assert isinstance(state, Open | Deleted)
    return state


def opened(version: int = 20) -> Open:
    state = taped(version)
    assert isinstance(state, Open)
    return state


def kinds_of(state: SnapshotState) -> list[str]:
    if isinstance(state, Deleted):
        return ["deleted"]
    met = ["parked"] * state.is_parked + ["usage"] * bool(state.ledger.rows)
    met += ["pending"] * (len(state.inputs.pending) > 1)
    met += ["claimed"] * any(entry.claim for entry in state.inputs.pending.values())
    if isinstance(state.turn, OpenTurn):
        met += [type(state.turn.step).__name__]
        met += ["effects"] * (len(state.turn.effects) > 1) + ["results"] * bool(state.turn.results)
    return met


def survives(state: SnapshotState) -> None:
    content = encode_snapshot(state, DIGEST)
    again = decode_snapshot(content, DIGEST)

    # A mapping equals one of another order, and what is printed does not.
    assert again == state
    assert repr(again) == repr(state)
    assert encode_snapshot(again, DIGEST) == content


def test_every_state_of_a_random_life_survives_the_round_trip() -> None:
    met: Counter[str] = Counter()

    @effort(150)
    @given(life=lives())
    def check(life: Life) -> None:
        for decision in life:
            if isinstance(decision.state, Open | Deleted):
                survives(decision.state)
                met.update(kinds_of(decision.state))

    check()
    sometimes = {"deleted", "parked", "usage", "pending", "claimed", "Begun", "Replied", "results"}
    assert met.keys() >= sometimes, met


@pytest.mark.parametrize("version", range(1, len(TAPE) + 1))
def test_every_state_of_the_tape_survives_the_round_trip(version: int) -> None:
    survives(taped(version))


def test_the_order_of_a_mapping_is_kept_and_told_apart() -> None:
    state = opened(5)
    turned = MappingProxyType(dict(reversed(list(state.inputs.pending.items()))))
    other = attrs.evolve(state, inputs=Inputs(pending=turned, next_sequence=4))

    survives(other)
    assert other == state
    assert encode_snapshot(other, DIGEST) != encode_snapshot(state, DIGEST)


# What is refused


def test_every_changed_byte_is_found() -> None:
    content = encode_snapshot(opened(2), DIGEST)

    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        with pytest.raises(UndecodableValue, match="seal"):
            decode_snapshot(bytes(damaged), DIGEST)
    for end in (0, 1, 31, 32, 33, len(content) - 1):
        with pytest.raises(UndecodableValue):
            decode_snapshot(content[:end], DIGEST)


def test_a_snapshot_of_other_facts_is_refused() -> None:
    with pytest.raises(UndecodableValue, match="seal"):
        decode_snapshot(encode_snapshot(opened(), DIGEST), bytes(32))


def test_a_snapshot_of_another_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode_snapshot(opened(), DIGEST)
    monkeypatch.setattr(snapshots, "fingerprint", lambda: "another")

    with pytest.raises(UndecodableValue, match="seal"):
        decode_snapshot(content, DIGEST)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"kind":"open"', b'"kind":"ajar"'),
        (b'"kind":"open",', b""),
        (b'"version":', b'"inversion":'),
        (b'"version":20', b'"version":"20"'),
        (b'"rows":[]', b'"rows":[["a"]]'),
        (b"{", b"["),
    ],
)
def test_a_sealed_content_of_another_shape_is_refused(old: bytes, new: bytes) -> None:
    encoded = encode_snapshot(opened(), DIGEST)[32:]
    assert old in encoded
    forged = encoded.replace(old, new, 1)
    seal = hashlib.sha256(b"lash-es/snapshot" + fingerprint().encode() + DIGEST + forged).digest()

    with pytest.raises(UndecodableValue):
        decode_snapshot(seal + forged, DIGEST)


def test_a_sum_that_outgrew_exact_integers_has_no_snapshot() -> None:
    rows = {UsageKey("turn", "m"): TokenUsage(input_tokens=2**53)}
    state = attrs.evolve(opened(), ledger=Ledger(rows=rows))

    with pytest.raises(UnencodableValue):
        encode_snapshot(state, DIGEST)


# Size


def full(count: int) -> Open:
    """A session whose queue holds ``count`` inputs, every text of usual length."""
    pending: dict[InputId, PendingInput] = {}
    for number in range(count):
        input_id = InputId(f"input-{number:032}")
        ingress = ActiveTurn(TurnId("t" * 36))
        pending[input_id] = PendingInput(
            input_id=input_id,
            sequence=number,
            source_key="k" * 64,
            submitted=ingress,
            ingress=ingress,
            enqueued_at_ms=2**41,
            position=Position(number),
            commitment=Commitment(digest="d" * 64, bytes_count=2**24, media_type="m" * 24),
        )
    inputs = Inputs(pending=MappingProxyType(pending), next_sequence=count + 1)
    return attrs.evolve(opened(2), session_id=SessionId("s" * 36), inputs=inputs)


def test_the_size_is_bounded_by_what_may_be_open() -> None:
    empty = len(encode_snapshot(full(0), DIGEST))
    size = len(encode_snapshot(full(DEFAULT_LIMITS.inputs_pending_max), DIGEST))

    assert empty < 1_024
    assert size < empty + DEFAULT_LIMITS.inputs_pending_max * 1_024
