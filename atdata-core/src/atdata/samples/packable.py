"""Sample types: ``PackableSample`` and the ``@packable`` decorator that makes one of a class."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar, dataclass_transform, get_type_hints

from atdata.errors import SampleTypeError
from atdata.samples.arrays import is_equal
from atdata.samples.codec import Codec, Field
from atdata.samples.fields import Array, parse_annotation
from atdata.samples.identifiers import why_not_field, why_not_type
from atdata.samples.keys import new_key

T = TypeVar("T")

# Kept on each class under names that no field can have.
_CODEC = "__atdata_codec__"
_BUILDER = "__atdata_builder__"


class PackableSample:
    """Base of every typed sample: a dataclass that packs itself into msgpack.

    Subclass it with ``@dataclass``, or decorate a plain class with ``@packable``. Fields are
    ``str``, ``int``, ``float``, ``bool``, ``bytes``, ``NDArray`` (optionally of one scalar type),
    ``list[T]``, ``dict``, each optionally ``| None``. Types are checked when a sample is packed and
    when it is unpacked, not when it is constructed. Unpacked arrays are writable and own their
    memory.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A generated __eq__ would compare arrays with ==, whose truth value is an error.
        if "__eq__" not in cls.__dict__:
            cls.__eq__ = PackableSample.__eq__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        self._ensure_good()

    def _ensure_good(self) -> None:
        """Turn array bytes into arrays, in the fields that hold arrays."""
        for field in codec_of(type(self)).fields:
            if isinstance(field.type, Array):
                value = getattr(self, field.name)
                if isinstance(value, bytes):
                    object.__setattr__(self, field.name, field.type.decode(value))

    @property
    def packed(self) -> bytes:
        """The sample as msgpack bytes; ``FieldError`` if a value does not fit its field."""
        return codec_of(type(self)).pack(self)

    @property
    def as_wds(self) -> dict[str, Any]:
        """The sample as ``webdataset`` writes it: a new unique ``__key__``, and ``msgpack`` bytes."""
        return {"__key__": new_key(), "msgpack": self.packed}

    @classmethod
    def from_bytes(cls, bs: bytes) -> Self:
        """Unpack a sample from msgpack bytes.

        Raises:
            CorruptDataError: the bytes are not one msgpack map, or an array in it is damaged.
            FieldError: a field is missing, unknown, or of another type.
        """
        return builder_of(cls)(codec_of(cls).unpack(bs))  # type: ignore[no-any-return]

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Make a sample from unpacked values; arrays may still be bytes."""
        return builder_of(cls)(codec_of(cls).convert(data))  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        """Compare field by field; arrays are equal in dtype, shape and every element, NaN included."""
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in codec_of(type(self)).fields]
        return all(is_equal(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]


@dataclass_transform()
def packable(cls: type[T]) -> type[T]:
    """Make a sample type of a class with annotated fields.

    The result is a dataclass and a ``PackableSample``; methods, defaults, docstring, bases and a
    ``__post_init__`` of the class keep working. It can be viewed from ``DictSample``.

    Raises:
        SampleTypeError: a field's type or name is not supported, or the class is generic.
    """
    if issubclass(cls, Generic):  # type: ignore[arg-type]
        raise SampleTypeError(f"{cls.__name__} is generic; a sample type has fixed field types")
    if issubclass(cls, PackableSample):
        sample_type = dataclasses.dataclass(cls)
    else:
        sample_type = _with_base(dataclasses.dataclass(eq=False)(cls))
    # Strings may name what only the caller's scope knows.
    _prepare(sample_type, sys._getframe(1).f_locals)
    return sample_type


def codec_of(cls: type) -> Codec:
    """Return the codec of a sample type, preparing it on first use."""
    codec = cls.__dict__.get(_CODEC)
    return codec if codec is not None else _prepare(cls, None)


def builder_of(cls: type) -> Callable[[dict[str, Any]], Any]:
    """Return what makes an instance of a sample type from checked values."""
    if _BUILDER not in cls.__dict__:
        _prepare(cls, None)
    return cls.__dict__[_BUILDER].__func__  # type: ignore[no-any-return]


def _with_base(cls: type[T]) -> type[T]:
    """Derive a class from both a dataclass and PackableSample, under the first one's name."""
    namespace: dict[str, Any] = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    own = getattr(cls, "__post_init__", None)
    if own is not None:

        def __post_init__(self: PackableSample, *init_only: Any) -> None:
            self._ensure_good()
            own(self, *init_only)

        namespace["__post_init__"] = __post_init__
    return type(cls)(cls.__name__, (cls, PackableSample), namespace)


def _prepare(cls: type, local_names: Mapping[str, Any] | None) -> Codec:
    if not dataclasses.is_dataclass(cls) or cls is PackableSample:
        raise SampleTypeError(f"{cls.__name__} is not a sample type; decorate it with @packable")
    fields = _fields_of(cls, local_names)
    codec = Codec(cls.__name__, fields)
    setattr(cls, _BUILDER, staticmethod(_make_builder(cls)))
    setattr(cls, _CODEC, codec)
    return codec


def _fields_of(cls: type, local_names: Mapping[str, Any] | None) -> tuple[Field, ...]:
    if reason := why_not_type(cls.__name__):
        raise SampleTypeError(f"a sample type cannot have that name: {reason}")
    try:
        hints = get_type_hints(cls, localns=dict(local_names) if local_names else None)
    except (NameError, TypeError, SyntaxError) as error:
        raise SampleTypeError(f"an annotation of {cls.__name__} cannot be resolved: {error}") from error
    if any(isinstance(hint, dataclasses.InitVar) for hint in hints.values()):
        raise SampleTypeError(f"{cls.__name__} has an InitVar; a sample is made of its fields alone")
    return tuple(
        _parse_field(cls, field, hints[field.name])
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
    )


def _parse_field(cls: type, field: dataclasses.Field[Any], hint: Any) -> Field:
    if reason := why_not_field(field.name):
        raise SampleTypeError(f"{cls.__name__} cannot have that field: {reason}", field=field.name)
    try:
        kind, optional = parse_annotation(hint)
    except SampleTypeError as error:
        raise SampleTypeError(
            f"{error} (field {cls.__name__}.{field.name})", field=field.name, **error.details
        ) from None
    return Field(field.name, kind, optional, _default_factory(field))


def _default_factory(field: dataclasses.Field[Any]) -> Callable[[], Any] | None:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory
    if field.default is dataclasses.MISSING:
        return None
    default = field.default
    return lambda: default


def _make_builder(cls: type) -> Callable[[dict[str, Any]], Any]:
    """Choose how instances are made: by filling in attributes, unless the class has its own ways."""
    names = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
    later = [field.name for field in dataclasses.fields(cls) if not field.init]  # type: ignore[arg-type]
    new = object.__new__

    def fill(values: dict[str, Any]) -> Any:
        sample = new(cls)
        sample.__dict__ = values
        return sample

    def construct(values: dict[str, Any]) -> Any:
        sample = cls(**{name: values[name] for name in names})
        for name in later:
            object.__setattr__(sample, name, values[name])
        return sample

    return fill if _is_plain(cls) else construct


def _is_plain(cls: type) -> bool:
    """Whether nothing but the generated __init__ would run when an instance is made."""
    generated = getattr(cls.__init__, "__code__", None)
    return (
        getattr(cls, "__post_init__", None) is PackableSample.__post_init__
        and generated is not None
        and generated.co_filename == "<string>"
        and cls.__setattr__ is object.__setattr__
        and cls.__new__ is object.__new__
        and not any("__slots__" in base.__dict__ for base in cls.__mro__)
    )
