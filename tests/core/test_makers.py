"""Constructors that are compiled make what the class's own makes, as frozen as it."""

import attrs
import pytest
from attrs import Factory, field, frozen

from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position
from lash_es.core.makers import maker
from lash_es.core.outcomes import Stopped, StopReason
from lash_es.core.turns import Begun


@frozen
class Mixed:
    first: int
    second: int = field(kw_only=True)
    third: int = field(default=3, kw_only=True)


def test_a_made_value_is_the_value_that_its_class_makes() -> None:
    made = maker(BodyRef)(position=Position(4), ordinal=2)

    assert made == BodyRef(position=Position(4), ordinal=2)
    assert type(made) is BodyRef
    assert hash(made) == hash(BodyRef(position=Position(4), ordinal=2))
    assert repr(made) == "BodyRef(position=4, ordinal=2)"


def test_a_made_value_is_frozen() -> None:
    made = maker(BodyRef)(position=Position(4), ordinal=2)

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.ordinal = 3  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del made.ordinal
    assert made.ordinal == 2


def test_defaults_and_places_of_arguments_are_the_class_s() -> None:
    assert maker(Stopped)(reason=StopReason.CANCELLED) == Stopped(reason=StopReason.CANCELLED)
    assert maker(Mixed)(1, second=2) == Mixed(1, second=2, third=3)
    assert maker(Begun)() == Begun()
    with pytest.raises(TypeError):
        maker(BodyRef)(Position(4), 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        maker(BodyRef)(position=Position(4))  # type: ignore[call-arg]


@frozen(kw_only=True)
class Validated:
    n: int = field(validator=attrs.validators.instance_of(int))


@frozen(kw_only=True)
class Converted:
    n: int = field(converter=int)


@frozen(kw_only=True)
class WithFactory:
    n: list[int] = Factory(list[int])


@frozen(kw_only=True)
class Afterwards:
    n: int

    def __attrs_post_init__(self) -> None:
        raise AssertionError


@frozen(kw_only=True, slots=False)
class Unslotted:
    n: int


@pytest.mark.parametrize("kind", [Validated, Converted, WithFactory, Afterwards, Unslotted])
def test_a_class_whose_constructor_does_more_is_refused(kind: type) -> None:
    with pytest.raises(TypeError, match="needs its own constructor"):
        maker(kind)
