"""Where streams ended at the last look: what moved since, of all of them or of some."""

from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId, Version
from lash_es.log.changes import Ends

A, B, C = (StreamId("default", SessionId(name)) for name in "abc")
EARLY, LATE = (Version(1), 0), (Version(2), 0)


def test_what_ends_elsewhere_or_is_new_has_moved_and_the_rest_is_forgotten() -> None:
    ends = Ends()

    assert ends.moved({A: EARLY, B: EARLY}) == [A, B]
    assert ends.moved({A: LATE, C: EARLY}) == [A, C]
    assert ends.know_all([A, C])
    assert not ends.know_all([B])


def test_who_looks_at_some_remembers_the_others_as_they_were() -> None:
    ends = Ends()
    ends.moved({A: EARLY, B: EARLY})

    assert ends.moved_among({B: LATE}) == [B]
    assert ends.moved_among({A: EARLY, B: LATE}) == []
    assert ends.know_all([A, B])
    assert ends.moved({A: LATE, B: LATE}) == [A]
