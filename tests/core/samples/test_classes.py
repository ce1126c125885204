"""Sample types are dataclasses, and whatever a dataclass can have keeps working."""

# Users write NDArray and dict without arguments, as the documentation does.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import abc
import copy
import dataclasses
import enum
import inspect
import pickle
import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import attrs
import msgpack
import numpy as np
import pydantic
import pydantic.dataclasses
import pytest
from numpy.typing import NDArray

from atdata import DictSample, Packable, PackableSample, packable
from atdata.errors import FieldError, SampleTypeError
from atdata.samples.arrays import array_to_bytes


@packable
class Image:
    """A picture."""

    image: NDArray
    label: str = "none"
    tags: list[str] = field(default_factory=list)


@dataclass
class Direct(PackableSample):
    name: str
    values: NDArray


@dataclass(frozen=True)
class Frozen(PackableSample):
    name: str
    values: NDArray


@dataclass(slots=True)
class Slotted(PackableSample):
    name: str
    values: NDArray | None = None


@dataclass(frozen=True, kw_only=True)
class Keyed(PackableSample):
    name: str
    values: NDArray


ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)
SAMPLES: list[Any] = [
    Image(ARRAY, "cat"),
    Direct("a", ARRAY),
    Frozen("a", ARRAY),
    Slotted("a", ARRAY),
    Keyed(name="a", values=ARRAY),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: type(s).__name__)
def test_every_way_to_declare_a_type_packs_copies_and_pickles(sample: Any) -> None:
    assert isinstance(sample, PackableSample)
    assert isinstance(sample, Packable)
    assert dataclasses.is_dataclass(sample)
    for again in (
        type(sample).from_bytes(sample.packed),
        pickle.loads(pickle.dumps(sample)),
        copy.deepcopy(sample),
        dataclasses.replace(sample),
    ):
        assert again == sample
        assert again is not sample
        assert type(again) is type(sample)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: type(s).__name__)
def test_array_bytes_given_to_the_constructor_become_arrays(sample: Any) -> None:
    values = {f.name: getattr(sample, f.name) for f in dataclasses.fields(sample)}
    stored = {
        name: array_to_bytes(value) if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }
    assert type(sample)(**stored) == sample


def test_a_decorated_class_keeps_its_name_doc_and_annotations() -> None:
    assert (Image.__name__, Image.__qualname__, Image.__module__) == ("Image", "Image", __name__)
    assert Image.__doc__ == "A picture."
    assert inspect.get_annotations(Image) == {
        "image": "NDArray",
        "label": "str",
        "tags": "list[str]",
    }
    assert repr(Image(np.zeros(1))) == (
        "Image(image=<float64 array of shape (1,)>, label='none', tags=[])"
    )


def test_what_webdataset_writes_has_a_key_and_packed_bytes() -> None:
    sample: Any = Image(ARRAY)
    raw = sample.as_wds
    assert raw.keys() == {"__key__", "msgpack"}
    assert raw["msgpack"] == sample.packed
    assert raw["__key__"] != sample.as_wds["__key__"]


def test_absent_fields_take_their_defaults_and_defaults_are_not_shared() -> None:
    data = msgpack.packb({"image": array_to_bytes(ARRAY)})
    cls: Any = Image
    first, second = cls.from_bytes(data), cls.from_bytes(data)
    assert first == Image(ARRAY)
    first.tags.append("x")
    assert second.tags == []


def test_absent_optional_fields_are_none() -> None:
    assert Slotted.from_bytes(msgpack.packb({"name": "a"})) == Slotted("a")


def test_the_order_of_fields_in_the_data_does_not_matter() -> None:
    data = msgpack.packb({"values": array_to_bytes(ARRAY), "name": "a"})
    assert list(vars(Direct.from_bytes(data))) == ["name", "values"]


@packable
class Measured:
    values: NDArray
    total: float = field(init=False)
    seen: ClassVar[list[str]] = []

    def __post_init__(self) -> None:
        self.seen.append(type(self.values).__name__)
        self.total = float(self.values.sum())

    @property
    def mean(self) -> float:
        return self.total / self.values.size

    @classmethod
    def zeros(cls) -> Measured:
        return cls(np.zeros(3))


def test_post_init_finds_arrays_and_its_own_fields_are_stored() -> None:
    Measured.seen.clear()
    cls: Any = Measured
    data = msgpack.packb({"values": array_to_bytes(ARRAY), "total": 99.0})
    sample = cls.from_bytes(data)
    assert (sample.total, cls(array_to_bytes(ARRAY)).total) == (99.0, 15.0)
    assert Measured.seen == ["ndarray", "ndarray"]
    assert cls.from_bytes(sample.packed) == sample
    assert Measured.zeros().mean == 0.0


def test_post_init_of_a_dataclass_finds_arrays() -> None:
    @dataclass
    class Child(Direct):
        def __post_init__(self) -> None:
            self.name = type(self.values).__name__

    assert Child("a", array_to_bytes(ARRAY)).name == "ndarray"  # type: ignore[arg-type]
    assert Child.from_bytes(Direct("a", ARRAY).packed).name == "ndarray"


def test_post_init_may_call_that_of_its_base() -> None:
    calls: list[str] = []

    @packable
    class Base:
        values: NDArray

        def __post_init__(self) -> None:
            calls.append(f"base {self.values.size}")

    @packable
    class Child(Base):
        more: int

        def __post_init__(self) -> None:
            super().__post_init__()
            calls.append("child")

    cls: Any = Child
    assert cls.from_bytes(cls(ARRAY, 1).packed).more == 1
    assert calls == ["base 6", "child"] * 2


def test_fields_are_inherited_from_sample_types_dataclasses_and_mixins() -> None:
    class Described:
        def describe(self) -> str:
            return f"{type(self).__name__} {vars(self)}"

    @dataclass
    class Plain:
        plain: int

    @packable
    class Base(Plain):
        first: str

    @packable
    class Child(Described, Base):
        second: float = 0.5

    cls: Any = Child
    sample = cls(1, "a")
    assert cls.from_bytes(sample.packed) == sample
    assert sample.describe() == "Child {'plain': 1, 'first': 'a', 'second': 0.5}"
    assert cls.__mro__.index(Base) < cls.__mro__.index(Plain)
    assert Base(1, "a") != sample


def test_abstract_methods_must_be_implemented_first() -> None:
    @packable
    class Shape(abc.ABC):
        name: str

        @abc.abstractmethod
        def area(self) -> float: ...

    @packable
    class Square(Shape):
        side: float

        def area(self) -> float:
            return self.side**2

    abstract: Any = Shape
    concrete: Any = Square
    with pytest.raises(TypeError, match="abstract"):
        abstract("a")
    assert concrete.from_bytes(concrete("a", 2.0).packed).area() == 4.0


def test_zero_argument_super_works_in_methods() -> None:
    class Named:
        def title(self) -> str:
            return "named"

    @packable
    class Child(Named):
        value: int

        def title(self) -> str:
            return f"{super().title()} {self.value} {__class__.__name__}"  # type: ignore[name-defined]

    assert Child(3).title() == "named 3 Child"


def test_setters_and_constructors_of_the_class_are_used_when_reading() -> None:
    @packable
    class Positive:
        value: int

        def __setattr__(self, name: str, value: Any) -> None:
            object.__setattr__(self, name, abs(value))

    @dataclass
    class Doubled(PackableSample):
        value: int

        def __init__(self, value: int) -> None:
            self.value = 2 * value

    for cls, stored in ((Positive, 3), (Doubled, -6)):
        made: Any = cls
        assert made.from_data({"value": -3}).value == stored


def test_an_undecorated_subclass_packs_as_its_base_and_is_made_as_itself() -> None:
    class Child(Direct):
        def shout(self) -> str:
            return self.name.upper()

    child = Child.from_bytes(Direct("a", ARRAY).packed)
    assert (type(child), child.shout()) == (Child, "A")


@pytest.mark.parametrize(
    "decorate",
    [
        lambda cls: packable(dataclass(cls)),
        lambda cls: packable(packable(cls)),
        lambda cls: dataclass(packable(cls)),
    ],
    ids=["a dataclass", "a sample type", "as a dataclass"],
)
@pytest.mark.parametrize("base", [object, PackableSample])
def test_decorating_again_changes_nothing(decorate: Callable[[Any], Any], base: type) -> None:
    class Twice(base):  # type: ignore[misc]
        values: NDArray
        tags: list[str] = field(default_factory=list)

    cls = decorate(Twice)
    assert cls.from_bytes(cls(ARRAY).packed) == cls(ARRAY)
    assert cls.from_data({"values": ARRAY}) == cls(ARRAY, [])


def test_samples_are_equal_field_by_field() -> None:
    nan = np.array([np.nan, 1.0])
    assert Image(nan) == Image(nan.copy())
    assert Image(nan) != Image(np.array([np.nan, 2.0]))
    assert Image(ARRAY) != Image(ARRAY.astype(np.float64))
    assert Image(ARRAY) != Image(ARRAY.ravel())
    assert Image(ARRAY) != Image(ARRAY, "dog")
    assert Direct("a", ARRAY) != Frozen("a", ARRAY)
    assert Direct("a", ARRAY).__eq__("a") is NotImplemented


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: type(s).__name__)
def test_samples_that_could_change_have_no_hash(sample: Any) -> None:
    if not isinstance(sample, Frozen | Keyed):
        with pytest.raises(TypeError, match="unhashable"):
            hash(sample)


def test_equality_and_hash_of_the_class_itself_win() -> None:
    @packable
    class ById:
        ident: int
        note: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, ById) and other.ident == self.ident

        def __hash__(self) -> int:
            return hash(self.ident)

    assert {ById(1, "a"), ById(1, "b")} == {ById(1, "c")}


def test_what_is_no_class_cannot_be_decorated() -> None:
    with pytest.raises(SampleTypeError, match="decorates a class"):
        packable(len)  # type: ignore[arg-type]


def test_attributes_that_are_no_fields_stay_out_of_the_data() -> None:
    sample = Direct("a", ARRAY)
    sample.cache = object()  # type: ignore[attr-defined]
    assert msgpack.unpackb(sample.packed).keys() == {"name", "values"}


def test_a_type_may_have_no_fields() -> None:
    @packable
    class Nothing:
        pass

    cls: Any = Nothing
    assert cls().packed == b"\x80"
    assert cls.from_bytes(b"\x80") == cls()


@pytest.mark.parametrize("cls", [PackableSample, type("Plain", (PackableSample,), {})])
def test_a_class_without_dataclass_is_no_sample_type(cls: Any) -> None:
    with pytest.raises(SampleTypeError, match="decorate it with @packable"):
        _ = cls().packed
    with pytest.raises(SampleTypeError, match="decorate it with @packable"):
        cls.from_bytes(b"\x80")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"image": b"", "labels": "x"}, "Image has no field 'labels'"),
        ({"label": "x"}, "Image misses 'image' in the data and has no default"),
        ({f"f{i}": i for i in range(9)}, "'f0', 'f1', 'f2', 'f3', 'f4' and 4 more; "),
        ({"x" * 1000: 1}, f"no field '{'x' * 59};"),
    ],
)
def test_fields_too_many_and_too_few_are_named(data: dict[str, Any], reason: str) -> None:
    cls: Any = Image
    with pytest.raises(FieldError, match=reason):
        cls.from_bytes(msgpack.packb(data))
    with pytest.raises(FieldError, match=reason):
        cls.from_data(data)


FIELD_NAMES = ["self", "packed", "from_data", "mro", "__x", "größe"]


@pytest.mark.parametrize("name", FIELD_NAMES)
def test_field_names_that_would_break_a_sample_are_refused(name: str) -> None:
    with pytest.raises(SampleTypeError, match="S cannot have that field"):
        packable(type("S", (), {"__annotations__": {name: int}}))


def test_field_names_that_differ_only_in_case_are_refused() -> None:
    with pytest.raises(SampleTypeError, match="'x' and 'X' are the same but for their case"):

        @packable
        class Matrix:
            x: int
            X: int


def test_a_class_name_that_no_schema_may_have_is_refused() -> None:
    with pytest.raises(SampleTypeError, match="cannot have that name"):
        packable(type("Größe", (), {"__annotations__": {"x": int}}))


def test_every_public_name_of_a_sample_is_reserved() -> None:
    own = {name for name in {*dir(PackableSample), *dir(type)} if not name.startswith("__")}
    for name in own:
        with pytest.raises(SampleTypeError, match="is a method or argument of every sample"):
            packable(type("S", (), {"__annotations__": {name: int}}))


def test_samples_unpickle_in_another_process() -> None:
    script = "import pickle, sys; s = pickle.load(sys.stdin.buffer); print(s.label, s.image.sum())"
    shown = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps(Image(ARRAY, "cat")),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert shown.split() == [b"cat", b"15.0"]


def kinds() -> dict[str, Any]:
    """Return a class of each kind that cannot be a sample type, by what is wrong with it."""

    class Numbered(enum.Enum):
        pass

    class Holds(typing.Protocol):
        n: int

    class Model(pydantic.BaseModel):
        n: int

    class Pair(typing.NamedTuple):
        n: int

    class Keyed(typing.TypedDict):
        n: int

    class Uninitialised(PackableSample):
        n: int

    class Otherwise:
        n: int

        def __init__(self, other: int) -> None:
            self.n = other

    class Untyped(DictSample):
        n: int

    extended = [list, int, Exception, np.ndarray]
    return {
        "is an enum": Numbered,
        "is a protocol": Holds,
        "is a pydantic model": Model,
        "extends tuple, whose own content": Pair,
        "extends dict, whose own content": Keyed,
        "has no __init__": dataclasses.dataclass(init=False)(Uninitialised),
        "an __init__ that does not take its fields": Otherwise,
        "extends DictSample": Untyped,
        **{f"extends {base.__name__}": type("Odd", (base,), {}) for base in extended},
    }


@pytest.mark.parametrize("wrong", kinds())
def test_a_class_that_cannot_be_made_of_its_fields_is_refused_with_a_remedy(wrong: str) -> None:
    with pytest.raises(SampleTypeError, match=f"{wrong}.*cannot be a sample type; ."):
        packable(kinds()[wrong])


@pytest.mark.parametrize("options", [{"slots": True}, {"frozen": True}, {"kw_only": True}, {}])
def test_a_dataclass_of_any_options_is_a_sample_type(options: dict[str, Any]) -> None:
    @packable
    @dataclasses.dataclass(**options)
    class Made:
        n: int
        text: str = "a"

    made: Any = Made
    assert made.from_bytes(made(n=1).packed) == made(n=1)


def test_classes_of_attrs_and_dataclasses_of_pydantic_are_sample_types() -> None:
    @packable
    @attrs.define
    class Defined:
        n: int
        x: NDArray[Any]

    @packable
    @pydantic.dataclasses.dataclass
    class Checked:
        n: int

    defined: Any = Defined
    checked: Any = Checked
    sample = defined(1, np.zeros(3))
    assert defined.from_bytes(sample.packed) == sample
    assert "x=<float64 array of shape (3,)>" in repr(sample)
    assert checked.from_bytes(checked(1).packed) == checked(1)
