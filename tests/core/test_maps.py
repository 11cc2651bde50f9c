"""Small read-only maps: in the order of entry, and every change is a copy."""

from types import MappingProxyType

from lash_es.core.maps import with_entries, with_entry, without


def test_an_entry_is_added_at_the_end_or_in_the_place_of_its_key() -> None:
    before = MappingProxyType({"a": 1, "b": 2})

    assert list(with_entry(before, "c", 3).items()) == [("a", 1), ("b", 2), ("c", 3)]
    assert list(with_entry(before, "a", 3).items()) == [("a", 3), ("b", 2)]
    assert list(with_entries(before, {"c": 3, "a": 4}).items()) == [("a", 4), ("b", 2), ("c", 3)]
    assert before == {"a": 1, "b": 2}


def test_what_is_not_there_is_left_out_too() -> None:
    before = MappingProxyType({"a": 1, "b": 2})

    assert without(before, ["b", "c"]) == {"a": 1}
    assert before == {"a": 1, "b": 2}


def test_a_plain_map_is_copied_and_left_as_it_was() -> None:
    before = {"a": 1}

    after = with_entry(before, "b", 2)

    assert (after, before) == ({"a": 1, "b": 2}, {"a": 1})
    assert type(after) is MappingProxyType
