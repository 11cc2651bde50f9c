"""Activity to bytes and back; what is of no kind known here is refused, since it is only shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec.activities import decode_activity, encode_activity
from lash_es.codec.errors import UndecodableValue
from lash_es.core.activity import ProseStreamed, ReasoningStreamed, StreamedActivity
from lash_es.core.ids import EffectId
from tests.core.effort import effort

texts = st.text(st.characters(codec="utf-8"), max_size=40)
activities = st.one_of(
    *(
        st.builds(kind, effect_id=texts.map(EffectId), attempt=st.integers(1, 99), text=texts)
        for kind in (ProseStreamed, ReasoningStreamed)
    )
)


def test_prose_and_reasoning_are_told_apart_by_their_kind() -> None:
    prose = ProseStreamed(effect_id=EffectId("t1/1"), attempt=2, text="Let me look.")
    reasoning = ReasoningStreamed(effect_id=EffectId("t1/1"), attempt=2, text="Let me look.")

    assert (encode_activity(prose), encode_activity(reasoning)) == (
        b'{"attempt":2,"effect_id":"t1/1","kind":"prose","text":"Let me look."}',
        b'{"attempt":2,"effect_id":"t1/1","kind":"reasoning","text":"Let me look."}',
    )


@effort(examples_max=200)
@given(activities)
def test_activity_is_read_back_as_it_was_written(activity: StreamedActivity) -> None:
    assert decode_activity(encode_activity(activity)) == activity


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"attempt":1,"effect_id":"e","kind":"sound","text":""}', "unknown kind 'sound'"),
        (b'{"attempt":1,"effect_id":"e","kind":7,"text":""}', "unknown kind 7"),
        (b'{"attempt":1,"effect_id":"e","text":""}', "unknown kind None"),
        (b'{"attempt":"1","effect_id":"e","kind":"prose","text":""}', "found str, expected int"),
        (b'{"attempt":1,"effect_id":"e","kind":"prose"}', "text"),
        (b'["prose"]', "found list, expected an object"),
        (b"prose", "unexpected character"),
    ],
)
def test_what_is_no_activity_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(UndecodableValue, match=reason):
        decode_activity(payload)
