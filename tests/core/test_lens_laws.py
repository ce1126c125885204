"""The kit that checks the laws of lenses finds lenses that break them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atdata import Lens, packable
from atdata.testing import check_lens_laws


@packable
class Full:
    image: NDArray[Any]
    label: str
    edits: int = 0


@packable
class Label:
    label: str


SOURCES = [Full(np.array([np.nan]), "cat"), Full(np.ones(2), "dog", 3)]
VIEWS = [Label("bird"), Label("")]


def get(source: Full) -> Label:
    return Label(source.label)


def put(view: Label, source: Full) -> Full:
    return Full(source.image, view.label, source.edits)


def put_and_count(view: Label, source: Full) -> Full:
    return Full(source.image, view.label, source.edits + 1)


def put_and_count_changes(view: Label, source: Full) -> Full:
    return Full(source.image, view.label, source.edits + (view.label != source.label))


def put_in_capitals(view: Label, source: Full) -> Full:
    label = source.label if view.label == source.label else view.label.upper()
    return Full(source.image, label, source.edits)


def test_a_lawful_lens_passes() -> None:
    check_lens_laws(Lens(get, put), SOURCES, VIEWS)
    check_lens_laws(Lens(get, put), iter(SOURCES))
    check_lens_laws(Lens.identity(Full), SOURCES, SOURCES)


def broken(lens: Lens[Full, Label], *views: Label) -> str:
    with pytest.raises(AssertionError) as caught:
        check_lens_laws(lens, SOURCES, views)
    return str(caught.value)


def test_a_putter_that_changes_more_breaks_get_put() -> None:
    message = broken(Lens(get, put_and_count))
    assert message.startswith("Lens[Full -> Label] breaks GetPut, put(get(source), source)")
    assert "source = Full(image=<float64 array of shape (1,)>, label='cat', edits=0)" in message
    assert "got      Full(image=<float64 array of shape (1,)>, label='cat', edits=1)" in message


def test_a_putter_that_forgets_breaks_put_get() -> None:
    message = broken(Lens(get))
    assert "breaks PutGet, get(put(view, source)) == view" in message
    assert "view = Label(label='dog')" in message
    assert "got      Label(label='cat')" in message


def test_a_putter_that_changes_the_view_breaks_put_get_for_views_given() -> None:
    sources = [Full(np.ones(1), "CAT")]
    lens = Lens(get, put_in_capitals)
    check_lens_laws(lens, sources)
    with pytest.raises(AssertionError, match="PutGet"):
        check_lens_laws(lens, sources, [Label("bird")])


def test_a_putter_that_counts_breaks_put_put() -> None:
    message = broken(Lens(get, put_and_count_changes), *VIEWS)
    assert "breaks PutPut, put(view, put(first, source)) == put(view, source)" in message
    assert "first = Label" in message


def test_checking_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="without any source"):
        check_lens_laws(Lens(get, put), [])


def test_long_samples_are_shown_in_part() -> None:
    long = Full(np.ones(1), "x" * 10_000)
    with pytest.raises(AssertionError) as caught:
        check_lens_laws(Lens(get, put_and_count), [long])
    assert len(str(caught.value)) < 2000
