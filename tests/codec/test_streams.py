"""Streams have names that no two of them share, and cursors that sort like what they point at."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lash_es.codec.cursors import MalformedCursor, SessionCursor, WrongSession
from lash_es.codec.errors import UnencodableValue
from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId, Version
from tests.core.effort import effort

NAMESPACES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,5}", fullmatch=True)
IDS = st.text(max_size=8) | st.text(alphabet="/%0a\x00\x1f\x7f\x9f", max_size=6)


@effort(60)
@given(one=st.builds(StreamId, NAMESPACES, IDS), other=st.builds(StreamId, NAMESPACES, IDS))
@example(one=StreamId("a", SessionId("%00")), other=StreamId("a", SessionId("\x00")))
@example(one=StreamId("a", SessionId("/b")), other=StreamId("a", SessionId("b")))
def test_no_two_streams_have_the_same_key(one: StreamId, other: StreamId) -> None:
    assert (one.key == other.key) is (one == other)


@effort(60)
@given(namespace=NAMESPACES, session_id=IDS)
def test_a_key_is_printable_and_says_which_stream_it_is(namespace: str, session_id: str) -> None:
    stream = StreamId(namespace, SessionId(session_id))

    assert StreamId.of_key(stream.key) == stream
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in stream.key)


def test_ordinary_ids_stay_readable() -> None:
    stream = StreamId("default", SessionId("team/42: caf\u00e9 \U0001f642"))

    assert stream.key == "default/team/42: caf\u00e9 \U0001f642"


@pytest.mark.parametrize(
    "namespace", ["", "A", "-a", "_a", "a/b", "a b", "a\n", "\u00e9", "a" * 64]
)
def test_a_namespace_of_another_form_is_refused(namespace: str) -> None:
    with pytest.raises(UnencodableValue, match="1 to 63"):
        StreamId(namespace, SessionId("s"))


@pytest.mark.parametrize("namespace", ["a", "0", "a-b_c", "a" * 63])
def test_namespaces_are_short_and_plain(namespace: str) -> None:
    assert StreamId(namespace, SessionId("s")).namespace == namespace


def test_an_id_with_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnencodableValue, match="session id"):
        StreamId("default", SessionId("lone \ud800"))


# Cursors

CURSORS = st.builds(
    SessionCursor,
    st.just(SessionId("s:1")),
    st.integers(0, 2**64 - 1).map(Version) | st.integers(0, 20).map(Version),
    st.integers(0, 2**32 - 1) | st.integers(0, 20),
)


@effort(60)
@given(cursors=st.lists(CURSORS, max_size=6))
def test_texts_of_cursors_sort_like_versions_and_sequences(cursors: list[SessionCursor]) -> None:
    by_place = sorted(cursors, key=lambda cursor: (cursor.version, cursor.seq))

    assert sorted(cursors) == by_place
    assert sorted(map(str, cursors)) == [str(cursor) for cursor in by_place]
    assert len({len(str(cursor)) for cursor in cursors}) <= 1


@effort(60)
@given(
    session_id=st.text(min_size=1, max_size=20),
    version=st.integers(0, 2**64 - 1),
    seq=st.integers(0, 2**32 - 1),
)
@example(session_id="a:b:c", version=1, seq=0)
@example(session_id="les1.0.x", version=0, seq=7)
@example(session_id="\x00", version=0, seq=0)
def test_a_cursor_s_text_is_read_back(session_id: str, version: int, seq: int) -> None:
    cursor = SessionCursor(SessionId(session_id), Version(version), seq)

    assert SessionCursor.parse(str(cursor)) == cursor
    assert hash(SessionCursor.parse(str(cursor))) == hash(cursor)


def test_a_cursor_is_good_in_a_url_and_hides_in_a_repr() -> None:
    cursor = SessionCursor(SessionId("a?b/\u00ff\u00fe"), Version(26), 3)

    assert str(cursor) == "les1.000000000000001a00000003.YT9iL8O_w74"
    assert repr(cursor) == "SessionCursor(...)"
    assert SessionCursor(SessionId("a"), Version(1)) < SessionCursor(SessionId("a"), Version(2))
    assert SessionCursor(SessionId("a"), Version(1), 1) >= SessionCursor(
        SessionId("a"), Version(1)
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "les1",
        "les2.000000000000001a00000003.YQ",
        "les1.000000000000001a00000003.",
        "les1.000000000000001a00000003",
        "les1.000000000000001A00000003.YQ",
        "les1.00000000000001a00000003.YQ",
        "les1.-00000000000001a00000003.YQ",
        "les1.000000000000001a00000003.Y",
        "les1.000000000000001a00000003.YQ==",
        "les1.000000000000001a00000003.YR",
        "les1.000000000000001a00000003.YQ\n",
        "les1.000000000000001a00000003.Y+",
        "les1.000000000000001a00000003._w",
        " les1.000000000000001a00000003.YQ",
        "\u0661es1.000000000000001a00000003.YQ",
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(MalformedCursor) as caught:
        SessionCursor.parse(text)
    assert caught.value.summary().startswith("malformed cursor: ")


def test_a_cursor_is_of_one_session() -> None:
    cursor = SessionCursor(SessionId("a"), Version(1))

    cursor.require_session(SessionId("a"))
    with pytest.raises(WrongSession) as refusal:
        cursor.require_session(SessionId("b"))
    assert refusal.value.fields == {"expected": "b", "actual": "a"}
    assert refusal.value.is_terminal
    assert str(refusal.value).startswith("the cursor is of session 'a', expected one of 'b'")
