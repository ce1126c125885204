"""How samples are shown: short and soon, whatever is in them."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from atdata import DictSample, PackableSample, SampleBatch, packable


@packable
class Picture:
    image: NDArray[np.uint8]
    raw: bytes
    text: str
    tags: list[str]
    meta: dict[str, Any]
    number: int | None = None


def picture(length: int) -> Picture:
    return Picture(
        np.zeros((length, 3), np.uint8),
        bytes(length),
        "t" * length,
        ["tag"] * length,
        {str(number): [number] * length for number in range(min(length, 100))},
    )


def test_large_values_are_shown_by_their_size_and_beginning() -> None:
    assert repr(picture(8)) == (
        "Picture(image=<uint8 array of shape (8, 3)>, raw=<8 bytes>, text='tttttttt', "
        "tags=['tag', 'tag', 'tag', 'tag', 'tag', 'tag', ... 2 more], "
        "meta={'0': [0, 0, 0, 0, 0, 0, ... 2 more], '1': [1, 1, 1, 1, 1, 1, ... 2 more], "
        "'2': [2, 2, 2, 2, 2, 2, ... 2 more], '3': [3, 3, 3, 3, 3, 3, ... 2 more], "
        "'4': [4, 4, 4, 4, 4, 4, ... 2 more], '5': [5, 5, 5, 5, 5, 5, ... 2 more], ... 2 more}, "
        "number=None)"
    )
    assert repr(DictSample(a=b"12", b="x", c=(1.5,))) == "DictSample(a=<2 bytes>, b='x', c=(1.5,))"


@pytest.mark.parametrize("length", [100_000, 1_000_000])
def test_it_takes_no_time_to_show_what_is_large(length: int) -> None:
    typed = picture(length)
    samples = [
        typed,
        DictSample(typed.__dict__),
        DictSample({"k" * length: 10**length, "l": typed}),
    ]
    started = time.process_time()
    shown = [repr(samples), repr(SampleBatch(samples, sample_type=Picture))]
    assert time.process_time() - started < 0.5
    assert len("".join(shown)) < 4000


def test_many_fields_are_shown_by_the_first() -> None:
    many = DictSample({f"field {number}": "x" * 60 for number in range(10_000)})
    assert len(repr(many)) <= 2000
    assert repr(DictSample({str(n): n for n in range(50)})).endswith("39=39, ... 10 more)")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), anything))
def test_whatever_is_in_a_sample_it_is_shown_in_few_characters(data: dict[str, Any]) -> None:
    assert len(repr(DictSample(data))) <= 2000


def test_values_that_are_not_of_the_field_are_shown_by_their_type() -> None:
    class Loud:
        def __repr__(self) -> str:
            raise AssertionError("asked to show itself")

    loud: Any = Loud()
    assert "number=<Loud>" in repr(dataclasses.replace(picture(1), number=loud))


def test_a_repr_that_somebody_wrote_is_kept() -> None:
    class Named:
        name: str

        def __repr__(self) -> str:
            return f"<{self.name}>"

    @packable
    class Own(Named):
        name: str

    @dataclasses.dataclass
    class Derived(Own):
        more: int = 0

    @packable
    class Quiet(PackableSample):
        shown: int
        hidden: int = dataclasses.field(default=1, repr=False)

    assert repr(Own("a")) == repr(Derived("a")) == "<a>"
    assert repr(Quiet(1)).endswith("Quiet(shown=1)")


def test_every_way_to_make_a_sample_type_shows_samples_alike() -> None:
    @dataclasses.dataclass
    class Written(PackableSample):
        x: NDArray[Any]

    @packable
    @dataclasses.dataclass
    class Twice:
        x: NDArray[Any]

    @packable
    class Child(Picture):
        more: int = 0

    for made in (Written(np.zeros(9)), Twice(np.zeros(9))):
        assert repr(made).endswith("(x=<float64 array of shape (9,)>)")
    assert "image=<uint8 array of shape (2, 3)>" in repr(Child(**picture(2).__dict__))
