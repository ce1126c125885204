"""Every documented field type, in every spelling, as text and as objects."""

# Users write NDArray and dict without arguments, as the documentation does.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import sys
import typing
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import Annotated, Any, Generic, Optional, TypeVar, Union

import numpy as np
import numpy.typing as npt
import pytest
from numpy.typing import NDArray
from tests.core.samples.one_field import one_field

import atdata
from atdata import DictSample, PackableSample, Schema, packable
from atdata.errors import FieldError, SampleTypeError
from atdata.samples.annotations import parse_annotation

T = TypeVar("T")
ScalarT = TypeVar("ScalarT", bound=np.generic)

SPELLINGS: dict[str, str] = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "bytes": "bytes",
    "dict": "dict",
    "typing.Dict": "dict",
    "dict[str, Any]": "dict",
    "typing.Dict[str, Any]": "dict",
    "NDArray": "NDArray",
    "npt.NDArray": "NDArray",
    "NDArray[Any]": "NDArray",
    "NDArray[np.generic]": "NDArray",
    "NDArray[ScalarT]": "NDArray",
    "np.ndarray": "NDArray",
    "np.ndarray[Any, Any]": "NDArray",
    "np.ndarray[Any, np.dtype]": "NDArray",
    "np.ndarray[Any, np.dtype[Any]]": "NDArray",
    "np.ndarray[tuple[int, int], np.dtype[np.float32]]": "NDArray[float32]",
    "NDArray[np.float32]": "NDArray[float32]",
    "NDArray[np.floating]": "NDArray[floating]",
    "NDArray[np.floating[Any]]": "NDArray[floating]",
    "NDArray[np.integer[Any]] | None": "NDArray[integer] | None",
    "NDArray[np.bool_]": "NDArray[bool]",
    "NDArray[np.str_]": "NDArray[str_]",
    "NDArray[np.double]": "NDArray[float64]",
    "NDArray[np.longlong]": "NDArray[int64]",
    "NDArray[np.datetime64]": "NDArray[datetime64]",
    "Optional[NDArray]": "NDArray | None",
    "NDArray | None": "NDArray | None",
    "None | NDArray[np.uint8]": "NDArray[uint8] | None",
    "Union[np.ndarray, None]": "NDArray | None",
    "Optional[str]": "str | None",
    "int | None": "int | None",
    "dict | None": "dict | None",
    "list[str]": "list[str]",
    "typing.List[str]": "list[str]",
    "typing.List[int]": "list[int]",
    "list[list[float]]": "list[list[float]]",
    "list[dict]": "list[dict]",
    "list[bytes] | None": "list[bytes] | None",
    "Annotated[int, 'unit']": "int",
    "Annotated[NDArray[np.float32], 'shape'] | None": "NDArray[float32] | None",
    "list[Annotated[str, 'lower case']]": "list[str]",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_means_its_field_type_as_text(spelling: str) -> None:
    assert str(Schema.from_type(one_field(spelling, __name__))) == f"S(x: {SPELLINGS[spelling]})"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_means_its_field_type_as_an_object(spelling: str) -> None:
    annotation = eval(spelling, globals())
    assert str(Schema.from_type(one_field(annotation))) == f"S(x: {SPELLINGS[spelling]})"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_a_field_type_is_annotated_as_means_that_type(spelling: str) -> None:
    (field,) = Schema.from_type(one_field(spelling, __name__)).fields
    (again,) = Schema.from_type(one_field(field.type.annotation)).fields
    assert again.type == field.type


@packable
class Nested:
    value: int


@dataclass
class Other:
    value: int


UNSUPPORTED = [
    *("Nested", "Other", "object", "Any", "None", "set[int]", "tuple[int, int]", "complex"),
    *(
        "Callable[[int], int]",
        "int | str",
        "int | str | None",
        "list",
        "typing.List",
        "list[int | None]",
    ),
    *("list[NDArray]", "list[Nested]", "list[T]", "T", "dict[str, int]", "dict[int, str]"),
    *("NDArray[np.object_]", "NDArray[int]", "NDArray[np.int8 | np.int16]", "npt.ArrayLike"),
    *("DictSample", "typing.Literal['a']", "type[int]", "np.float32", "bytearray"),
]


@pytest.mark.parametrize("spelling", UNSUPPORTED)
def test_other_annotations_are_refused_with_what_can_be_used(spelling: str) -> None:
    with pytest.raises(SampleTypeError, match=r"Unsupported type for schema field: .*; ") as caught:
        one_field(spelling, __name__)
    assert "(field S.x)" in str(caught.value)
    assert isinstance(caught.value, TypeError)
    with pytest.raises(SampleTypeError):
        one_field(eval(spelling, globals()))


@pytest.mark.parametrize("spelling", ["Missing", "np.flaot32", "int +", "int | 2"])
def test_annotations_that_mean_nothing_are_refused(spelling: str) -> None:
    with pytest.raises(SampleTypeError, match="annotation of S cannot be resolved"):
        one_field(spelling, __name__)


def test_types_of_the_function_around_the_class_are_found() -> None:
    Label: typing.TypeAlias = str
    Pixels: typing.TypeAlias = NDArray[np.int16]

    @packable
    class Local:
        label: Label
        image: Pixels

    assert str(Schema.from_type(Local)) == "Local(label: str, image: NDArray[int16])"


@pytest.mark.parametrize("annotation", [InitVar[int], InitVar, "InitVar[int]"])
def test_init_only_variables_are_refused(annotation: Any) -> None:
    with pytest.raises(SampleTypeError, match=r"S\.x is an InitVar"):
        one_field(annotation, __name__)


def test_generic_classes_are_refused() -> None:
    with pytest.raises(SampleTypeError, match="Box is generic"):

        @packable
        class Box(Generic[T]):
            value: int


def test_generic_dataclasses_are_refused_when_used() -> None:
    @dataclass
    class Box(PackableSample, Generic[T]):
        value: int

    with pytest.raises(SampleTypeError, match="Box is generic"):
        _ = Box(1).packed


def test_scalar_types_of_other_libraries_are_refused() -> None:
    class Half(np.float64):
        pass

    with pytest.raises(SampleTypeError, match="one of numpy's"):
        one_field(NDArray[Half])


CASES: list[tuple[Any, str, str]] = [
    (NDArray[np.float32], "<f4", "<f8"),
    (NDArray[np.float32], ">f4", "<i4"),
    (NDArray[np.floating], "<f8", "<i4"),
    (NDArray[np.integer], "<u2", "?"),
    (NDArray[np.longlong], "<i8", "<u8"),
    (NDArray[np.int64], "q", "<i4"),
    (NDArray[np.str_], "<U3", "S3"),
    (NDArray[np.bool_], "?", "u1"),
]


@pytest.mark.parametrize(("annotation", "good", "bad"), CASES)
def test_a_scalar_type_restricts_the_dtype_on_both_ways(
    annotation: Any, good: str, bad: str
) -> None:
    restricted, free = one_field(annotation), one_field(NDArray)
    array = np.zeros(2, good)
    assert restricted.from_bytes(restricted(array).packed).x.dtype == array.dtype
    with pytest.raises(FieldError, match=r"S\.x: expected NDArray\[.*astype"):
        _ = restricted(np.zeros(2, bad)).packed
    with pytest.raises(FieldError, match=r"S\.x: expected NDArray\[.*astype"):
        restricted.from_bytes(free(np.zeros(2, bad)).packed)


def test_every_documented_example_is_a_one_field() -> None:
    @atdata.packable
    class Everything:
        name: str
        count: int
        score: float
        active: bool
        data: bytes
        features: NDArray
        embeddings: NDArray | None
        tags: list[str]
        scores: list[float]
        metadata: dict

    assert Schema.from_type(Everything).names == [
        *("name", "count", "score", "active", "data", "features", "embeddings"),
        *("tags", "scores", "metadata"),
    ]


__all__ = [
    "Annotated",
    "Callable",
    "DictSample",
    "Optional",
    "Union",
    "npt",
    "typing",
]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a `type` statement is syntax from 3.12 on")
def test_aliases_of_types_stand_for_what_they_name() -> None:
    scope: dict[str, Any] = {"NDArray": NDArray, "np": np}
    exec("type Image = NDArray[np.uint8]\ntype Maybe[T] = T | None", scope)
    assert str(parse_annotation(scope["Image"])[0]) == "NDArray[uint8]"
    assert parse_annotation(scope["Maybe"][int]) == parse_annotation(int | None)
