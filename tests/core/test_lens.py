"""Lenses view samples of one type as another, and the network finds the way between two types."""

from __future__ import annotations

import copy
import functools
import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import atdata
from atdata import DictSample, Lens, LensNetwork, PackableSample, Schema, packable
from atdata.errors import AmbiguousLensError, FieldError, LensNotFoundError, SampleTypeError


@pytest.fixture(autouse=True)
def _forget_lenses() -> Iterator[None]:
    """Let no test see the lenses of another."""
    registry = LensNetwork._registry  # noqa: SLF001
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


@packable
class Full:
    image: NDArray[Any]
    label: str
    confidence: float


@packable
class Simple:
    label: str
    confidence: float


@packable
class Label:
    label: str


@packable
class Shout:
    text: str


@atdata.lens
def simplify(source: Full) -> Simple:
    """Forget the image."""
    return Simple(label=source.label, confidence=source.confidence)


@simplify.putter
def simplify_put(view: Simple, source: Full) -> Full:
    return Full(image=source.image, label=view.label, confidence=view.confidence)


@atdata.lens
def only_label(source: Simple) -> Label:
    return Label(label=source.label)


@only_label.putter
def only_label_put(view: Label, source: Simple) -> Simple:
    return Simple(label=view.label, confidence=source.confidence)


@atdata.lens
def shout(source: Label) -> Shout:
    return Shout(text=source.label.upper())


def get_label(source: Full) -> Label:
    return Label(label=source.label)


CAT = Full(np.zeros((2, 2)), "cat", 0.5)


def test_a_decorated_getter_views_and_keeps_its_name_and_doc() -> None:
    assert simplify(CAT) == simplify.get(CAT) == Simple("cat", 0.5)
    assert (simplify.source_type, simplify.view_type) == (Full, Simple)
    assert (simplify.__name__, simplify.__doc__) == ("simplify", "Forget the image.")
    assert repr(simplify) == "Lens[Full -> Simple]"


def test_a_putter_carries_changes_back_and_stays_a_function() -> None:
    assert simplify.put(Simple("dog", 0.9), CAT) == Full(CAT.image, "dog", 0.9)
    assert simplify_put(Simple("dog", 0.9), CAT).label == "dog"


def test_without_a_putter_the_source_stays_as_it_is() -> None:
    source = Label("a")
    assert shout.put(Shout("B"), source) is source


def test_a_lens_is_made_of_functions_or_of_functions_and_types() -> None:
    by_annotation = Lens(get_label)
    by_types = Lens(lambda s: Label(s.label), source_type=Full, view_type=Label)
    with_putter = Lens(get_label, lambda v, s: Full(s.image, v.label, s.confidence))
    for made in (by_annotation, by_types, with_putter):
        assert (made.source_type, made.view_type) == (Full, Label)
        assert made(CAT) == Label("cat")
    assert with_putter.put(Label("dog"), CAT).label == "dog"
    with pytest.raises(LensNotFoundError):
        LensNetwork().transform(Simple, Full)


def test_annotations_may_name_what_only_the_function_around_knows() -> None:
    @packable
    class Inner:
        label: str

    @atdata.lens
    def to_inner(source: Full) -> Inner:
        return Inner(source.label)

    def again(source: Inner) -> Label:
        return Label(source.label)

    assert to_inner.view_type is Inner
    assert Lens(again).source_type is Inner


def test_identity_looks_and_puts_as_it_is() -> None:
    same = Lens.identity(Full)
    other = Full(np.ones(1), "dog", 0.1)
    assert same(CAT) is CAT
    assert same.put(other, CAT) is other


def test_lenses_compose_in_both_notations() -> None:
    for chain in (simplify | only_label, only_label @ simplify):
        assert chain(CAT) == Label("cat")
        assert chain.put(Label("dog"), CAT) == Full(CAT.image, "dog", 0.5)
        assert repr(chain) == "Lens[Full -> Label]"
    assert (simplify | only_label | shout)(CAT) == Shout("CAT")


def test_lenses_that_do_not_meet_do_not_compose() -> None:
    with pytest.raises(LensNotFoundError, match="do not meet"):
        simplify | shout  # type: ignore[operator]
    with pytest.raises(TypeError, match="unsupported operand"):
        simplify | str.upper  # type: ignore[operator]


def no_annotation(source):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return source


def no_view(source: Full):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return source


def plain_view(source: Full) -> str:
    return source.label


def plain_source(source: str) -> Label:
    return Label(source)


def two_sources(source: Full, other: Full) -> Label:
    return Label(source.label + other.label)


def no_source() -> Label:
    return Label("")


def unknown_source(source: Unknown) -> Label:  # type: ignore[name-defined]  # noqa: F821
    return Label("")


def unknown_attribute(source: np.Unknown) -> Label:  # type: ignore[name-defined]
    return Label("")


NO_LENSES: list[Any] = [
    *(no_annotation, no_view, plain_view, plain_source, two_sources, no_source),
    *(unknown_source, unknown_attribute, functools.partial(get_label), len, max, 7, lambda s: s),
]


@pytest.mark.parametrize("function", NO_LENSES)
def test_functions_without_sample_types_are_no_lenses(function: Callable[[Any], Any]) -> None:
    with pytest.raises(SampleTypeError, match="lens"):
        atdata.lens(function)
    with pytest.raises(SampleTypeError, match="lens"):
        Lens(function)


def test_there_is_one_network() -> None:
    assert LensNetwork() is LensNetwork()
    assert pickle.loads(pickle.dumps(LensNetwork())) is LensNetwork()


def test_a_direct_lens_is_found_as_it_was_registered() -> None:
    assert LensNetwork().transform(Full, Simple) is simplify


def test_a_later_lens_takes_the_place_of_an_earlier() -> None:
    later: Lens[Full, Simple] = Lens(lambda s: Simple("x", 0.0), source_type=Full, view_type=Simple)
    LensNetwork().register(later)
    assert LensNetwork().transform(Full, Simple) is later


def test_a_direct_lens_wins_over_a_chain_and_a_chain_over_a_longer_one() -> None:
    network = LensNetwork()
    assert network.transform(Full, Shout)(CAT) == Shout("CAT")
    direct = Lens(get_label)
    network.register(direct)
    assert network.transform(Full, Label) is direct
    assert network.transform(Full, Shout)(CAT) == Shout("CAT")


def test_a_chain_puts_back_through_all_its_lenses() -> None:
    chain = LensNetwork().transform(Full, Label)
    assert chain.put(Label("dog"), CAT) == Full(CAT.image, "dog", 0.5)


def test_circles_of_lenses_lead_nowhere_new() -> None:
    @atdata.lens
    def back(source: Label) -> Full:
        return Full(np.zeros(1), source.label, 0.0)

    network = LensNetwork()
    assert network.transform(Simple, Full)(Simple("a", 0.5)).label == "a"
    with pytest.raises(LensNotFoundError):
        network.transform(Shout, Full)


def test_equally_short_ways_are_an_error_that_lists_them() -> None:
    @packable
    class Other:
        label: str

    @atdata.lens
    def to_other(source: Full) -> Other:
        return Other(source.label)

    @atdata.lens
    def other_label(source: Other) -> Label:
        return Label(source.label)

    with pytest.raises(AmbiguousLensError, match="register a direct lens") as caught:
        LensNetwork().transform(Full, Label)
    error: Any = caught.value
    assert error.paths == ["Full -> Other -> Label", "Full -> Simple -> Label"]
    assert "; ".join(error.paths) in str(error)
    LensNetwork().register(Lens(get_label))
    assert LensNetwork().transform(Full, Label)(CAT) == Label("cat")


@pytest.mark.parametrize("view", [Full, int, "Simple", PackableSample])
def test_no_way_is_a_value_error_that_names_both_ends(view: Any) -> None:
    with pytest.raises(ValueError, match=r"no lens leads from Shout to .*; define one with @lens"):
        LensNetwork().transform(Shout, view)
    with pytest.raises(ValueError, match="no lens leads from"):
        LensNetwork().transform(view, DictSample)


def test_a_type_is_viewed_as_itself() -> None:
    assert LensNetwork().transform(Full, Full)(CAT) is CAT


def test_every_typed_class_is_viewable_from_untyped_samples() -> None:
    untyped = DictSample.from_bytes(CAT.packed)  # type: ignore[attr-defined]
    automatic = LensNetwork().transform(DictSample, Full)
    assert automatic(untyped) == CAT
    assert automatic.put(CAT, untyped) is untyped
    with pytest.raises(FieldError, match="Label has no field"):
        LensNetwork().transform(DictSample, Label)(untyped)


def test_a_lens_of_ones_own_from_untyped_samples_wins() -> None:
    @atdata.lens
    def first_word(source: DictSample) -> Label:
        return Label(str(source["text"]).split()[0])

    assert LensNetwork().transform(DictSample, Label)(DictSample(text="a b")) == Label("a")


DECODED: Any = Schema.from_type(Full).to_type("elsewhere")
DECODED_LABEL: Any = Schema.from_type(Label).to_type("elsewhere")
CAT_DECODED = DECODED(CAT.image, "cat", 0.5)


def test_a_class_made_from_a_schema_and_the_one_it_came_from_view_each_other() -> None:
    twin = LensNetwork().transform(DECODED, Full)
    assert twin(CAT_DECODED) == CAT
    assert twin.put(Full(CAT.image, "dog", 0.5), CAT_DECODED) == DECODED(CAT.image, "dog", 0.5)
    assert LensNetwork().transform(Full, DECODED)(CAT) == CAT_DECODED


def test_a_view_of_a_twin_takes_near_values_as_packing_does() -> None:
    near = Full(CAT.image, np.str_("cat"), np.float32(0.5))  # type: ignore[arg-type]
    assert LensNetwork().transform(Full, DECODED)(near) == CAT_DECODED


@pytest.mark.parametrize(
    ("source", "view", "expected"),
    [
        (DECODED, Simple, Simple("cat", 0.5)),
        (DECODED, Label, Label("cat")),
        (DECODED, DECODED_LABEL, DECODED_LABEL("cat")),
        (Full, DECODED_LABEL, DECODED_LABEL("cat")),
    ],
)
def test_a_class_made_from_a_schema_stands_in_at_either_end(
    source: Any, view: Any, expected: Any
) -> None:
    sample = CAT if source is Full else CAT_DECODED
    found = LensNetwork().transform(source, view)
    assert found(sample) == expected
    assert (found.source_type, found.view_type) == (source, view)


def test_twins_of_one_schema_can_make_the_way_ambiguous() -> None:
    twin: Any = Schema.from_type(Full).to_type("a twin with a lens of its own")
    LensNetwork().register(
        Lens(lambda s: Label(s.label), source_type=twin, view_type=Label),
    )
    LensNetwork().register(Lens(get_label))
    with pytest.raises(AmbiguousLensError, match="Full -> Full -> Label"):
        LensNetwork().transform(DECODED, Label)


def test_untyped_views_lead_to_no_other_type() -> None:
    @atdata.lens
    def raw(source: Shout) -> DictSample:
        return DictSample(text=source.text)

    assert LensNetwork().transform(Shout, DictSample)(Shout("A")) == DictSample(text="A")
    with pytest.raises(LensNotFoundError):
        LensNetwork().transform(Shout, Full)


PICKLED: dict[str, Any] = {
    "decorated": simplify,
    "composed": simplify | only_label,
    "found as a chain": LensNetwork().transform(Full, Shout),
    "made": Lens(get_label),
    "identity": Lens.identity(Full),
    "from untyped": LensNetwork().transform(DictSample, Full),
    "of twins": LensNetwork().transform(Full, DECODED),
}


@pytest.mark.parametrize("name", PICKLED)
def test_lenses_of_importable_functions_pickle_and_copy(name: str) -> None:
    made = PICKLED[name]
    source = DictSample.from_bytes(CAT.packed) if name == "from untyped" else CAT  # type: ignore[attr-defined]
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made)):
        assert again(source) == made(source)
        assert (again.source_type, again.view_type) == (made.source_type, made.view_type)
        assert again.put(made(source), source) == made.put(made(source), source)


def test_a_decorated_lens_unpickles_as_the_very_same() -> None:
    assert pickle.loads(pickle.dumps(simplify)) is simplify
    assert copy.deepcopy(simplify) is simplify


def test_lenses_of_local_functions_do_not_pickle() -> None:
    local: Lens[Full, Label] = Lens(lambda s: Label(s.label), source_type=Full, view_type=Label)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(local)


def view_of(made: Any) -> Any:
    return made(CAT)


def test_lenses_work_in_spawned_processes() -> None:
    lenses = [PICKLED[name] for name in ("decorated", "composed", "made", "of twins")]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(view_of, lenses) == [made(CAT) for made in lenses]


def test_threads_register_and_find_lenses_at_the_same_time() -> None:
    network = LensNetwork()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for version in range(50):
                kind: Any = Schema.from_type(Label).to_type(f"{number}/{version}")
                made: Lens[Any, Any] = Lens(_same, source_type=kind, view_type=Full)
                network.register(made)
                assert network.transform(kind, Full) is made
                assert network.transform(kind, Simple)(CAT) == Simple("cat", 0.5)
        except BaseException as error:  # noqa: BLE001 -- the test itself must see it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def _same(sample: Any) -> Any:
    return sample
