"""Sample types: ``PackableSample`` and the ``@packable`` decorator that makes one of a class."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from typing import Any, Generic, Self, TypeVar, cast, dataclass_transform, get_type_hints

from atdata.errors import SampleTypeError
from atdata.samples.annotations import parse_annotation
from atdata.samples.arrays import is_equal
from atdata.samples.classes import check_class, check_construction
from atdata.samples.codec import Codec, Field
from atdata.samples.fields import Array
from atdata.samples.identifiers import why_not_field, why_not_together, why_not_type
from atdata.samples.keys import new_key
from atdata.samples.showing import shown_sample

T = TypeVar("T")

# Kept on each class under names that no field can have.
_CODEC = "__atdata_codec__"
_BUILDER = "__atdata_builder__"
# Marks a __post_init__ that finds arrays where array bytes were given.
_MADE_GOOD = "__atdata_made_good__"


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
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = _written_repr(cls)  # type: ignore[method-assign]
        if not hasattr(cls.__post_init__, _MADE_GOOD):
            cls.__post_init__ = _after_arrays(cls.__post_init__)  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        self._ensure_good()

    setattr(__post_init__, _MADE_GOOD, True)

    def _ensure_good(self) -> None:
        """Turn array bytes into arrays, in the fields that hold arrays."""
        for field in codec_of(type(self)).fields:
            if isinstance(field.type, Array):
                value = getattr(self, field.name)
                if isinstance(value, bytes):
                    object.__setattr__(self, field.name, field.type.decode(value))

    @property
    def packed(self) -> bytes:
        """The sample as msgpack bytes.

        Raises:
            FieldError: a value does not fit its field.
            LimitExceededError: there is more in lists and dicts than would be read.
        """
        return codec_of(type(self)).pack(self)

    @property
    def as_wds(self) -> dict[str, Any]:
        """The sample as ``webdataset`` writes it: a unique new ``__key__``, ``msgpack`` bytes."""
        return {"__key__": new_key(), "msgpack": self.packed}

    @classmethod
    def from_bytes(cls, bs: bytes) -> Self:
        """Unpack a sample from msgpack bytes.

        Raises:
            CorruptDataError: the bytes are not one msgpack map, or an array in it is damaged.
            FieldError: a field is missing, unknown, or of another type.
        """
        return builder_of(cls).one(codec_of(cls).unpack(bs))  # type: ignore[no-any-return]

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Make a sample from unpacked values; arrays may still be bytes."""
        return builder_of(cls).one(codec_of(cls).convert(data))  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        """Compare field by field; NaN equals itself, and arrays must agree in dtype and shape."""
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in codec_of(type(self)).fields]
        return all(is_equal(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the fields, arrays and bytes by their size and what is long by its beginning."""
        fields = [field.name for field in dataclasses.fields(self) if field.repr]  # type: ignore[arg-type]
        values = ((name, getattr(self, name, "?")) for name in fields)
        return shown_sample(type(self).__qualname__, values, len(fields))


@dataclass_transform()
def packable(cls: type[T]) -> type[T]:
    """Make a sample type of a class with annotated fields.

    The result is a dataclass and a ``PackableSample``; methods, defaults, docstring, bases and a
    ``__post_init__`` of the class keep working. It can be viewed from ``DictSample``.

    Raises:
        SampleTypeError: a field's type or name is not supported, or the class is generic, or
            of a kind that holds or takes something else than its fields.
    """
    if not isinstance(cls, type):
        raise SampleTypeError(f"@packable decorates a class, not {cls!r:.80}")
    check_class(cls)
    sample_type: type[T] = (
        _as_dataclass(cls) if issubclass(cls, PackableSample) else _with_base(cls)
    )
    # Strings may name what only the caller's scope knows.
    _prepare(sample_type, sys._getframe(1).f_locals)  # noqa: SLF001
    return sample_type


def codec_of(cls: type) -> Codec:
    """Return the codec of a sample type, preparing it on first use."""
    codec = cls.__dict__.get(_CODEC)
    return codec if codec is not None else _prepare(cls, None)


def builder_of(cls: type) -> Builder:
    """Return what makes an instance of a sample type from checked values."""
    if _BUILDER not in cls.__dict__:
        _prepare(cls, None)
    return cast("Builder", cls.__dict__[_BUILDER])


def _with_base(cls: Any) -> Any:
    """Make a dataclass of a class, and of both it and PackableSample a class of the same name."""
    if not hasattr(cls, "__post_init__"):
        # The generated __init__ calls one only if it is there by now.
        cls.__post_init__ = PackableSample.__post_init__
    cls = _as_dataclass(cls, eq=False, repr=False)
    namespace: dict[str, Any] = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__annotations__": inspect.get_annotations(cls),
        # Seen as its own, they stay if somebody makes a dataclass of it once more.
        "__dataclass_fields__": cls.__dataclass_fields__,
        "__init__": cls.__init__,
    }
    # Defined by the class, they win over those of PackableSample, which the base would lose to.
    for name in ("__eq__", "__hash__"):
        own = cls.__dict__.get(name)
        if own is not None and not _is_generated(own) and not _is_of_attrs(own):
            namespace[name] = cls.__dict__[name]
    return type(cls)(cls.__name__, (cls, PackableSample), namespace)


def _as_dataclass(cls: Any, **options: Any) -> Any:
    """Make a dataclass of a class, unless it is one: a second time would lose default factories."""
    if "__dataclass_fields__" in cls.__dict__:
        return cls
    return dataclasses.dataclass(**options)(cls)


def _after_arrays(own: Callable[..., None]) -> Callable[..., None]:
    """Wrap a ``__post_init__`` so that array bytes are arrays by the time it runs."""

    @functools.wraps(own)
    def post_init(self: PackableSample) -> None:
        self._ensure_good()
        own(self)

    setattr(post_init, _MADE_GOOD, True)
    return post_init


def _written_repr(cls: type) -> Callable[[Any], str]:
    """Find the ``__repr__`` that a person wrote, at the latest that of PackableSample."""
    found = (base.__dict__.get("__repr__") for base in cls.__mro__)
    written = (own for own in found if own is not None and not _is_generated_repr(own))
    return cast("Callable[[Any], str]", next(written))


def _is_generated_repr(function: Any) -> bool:
    # Dataclasses wrap theirs, against recursion.
    return _is_generated(getattr(function, "__wrapped__", None)) or _is_of_attrs(function)


def _is_generated(function: object) -> bool:
    """Whether a method was written by ``dataclasses`` and not by a person."""
    return _file_of(function) == "<string>"


def _is_of_attrs(function: object) -> bool:
    """Whether a method was written by ``attrs``, whose ``__init__`` may convert and check."""
    return _file_of(function).startswith("<attrs generated")


def _file_of(function: object) -> str:
    code = getattr(function, "__code__", None)
    return "" if code is None else code.co_filename


def _prepare(cls: type, local_names: Mapping[str, Any] | None) -> Codec:
    if not dataclasses.is_dataclass(cls):
        raise SampleTypeError(f"{cls.__name__} is not a sample type; decorate it with @packable")
    if Generic in cls.__mro__:
        raise SampleTypeError(f"{cls.__name__} is generic; a sample type has fixed field types")
    check_class(cls)
    codec = Codec(cls.__name__, _fields_of(cls, local_names))
    check_construction(cls, [field.name for field in dataclasses.fields(cls) if field.init])
    setattr(cls, _BUILDER, Builder(cls))
    setattr(cls, _CODEC, codec)
    return codec


def _fields_of(cls: type, local_names: Mapping[str, Any] | None) -> tuple[Field, ...]:
    if reason := why_not_type(cls.__name__):
        raise SampleTypeError(f"a sample type cannot have that name: {reason}")
    hints = _hints_of(cls, local_names)
    fields = dataclasses.fields(cls)
    if reason := why_not_together(field.name for field in fields):
        raise SampleTypeError(f"{cls.__name__} cannot have fields so alike: {reason}")
    return tuple(_parse_field(cls, field, hints[field.name]) for field in fields)


def _hints_of(cls: type, local_names: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        hints = get_type_hints(cls, localns=dict(local_names) if local_names else None)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise SampleTypeError(
            f"an annotation of {cls.__name__} cannot be resolved: {error}"
        ) from error
    for name, hint in hints.items():
        if hint is dataclasses.InitVar or isinstance(hint, dataclasses.InitVar):
            raise SampleTypeError(
                f"{cls.__name__}.{name} is an InitVar; a sample is made of its fields alone",
                field=name,
            )
    return hints


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


class Builder:
    """Makes samples of a type from dicts of checked values, which it takes over."""

    def __init__(self, cls: Any) -> None:
        self._type = cls
        # Whether samples are just their values, with nothing of the class's own done to them.
        self.is_plain = _is_plain(cls)
        self._names = [field.name for field in dataclasses.fields(cls) if field.init]
        self._later = [field.name for field in dataclasses.fields(cls) if not field.init]

    def one(self, values: dict[str, Any]) -> Any:
        """Make one sample: by setting its attributes, unless the class has its own ways."""
        if self.is_plain:
            sample: Any = object.__new__(self._type)
            sample.__dict__ = values
            return sample
        sample = self._type(**{name: values[name] for name in self._names})
        for name in self._later:
            object.__setattr__(sample, name, values[name])
        return sample

    def many(self, columns: Mapping[str, Iterable[Any]], count: int) -> list[Any]:
        """Make many samples of columns of values, at a third of what calls of ``one`` take."""
        if not self.is_plain:
            rows = zip(*columns.values(), strict=True) if columns else repeat((), count)
            return [self.one(dict(zip(columns, row, strict=True))) for row in rows]
        samples = list(map(object.__new__, repeat(self._type, count)))
        for name, column in columns.items():
            # The loop over samples runs in C; the queue of no length only drives it.
            deque(map(setattr, samples, repeat(name), column), maxlen=0)
        return samples


def _is_plain(cls: Any) -> bool:
    """Whether nothing but the generated __init__ would run when an instance is made."""
    return (
        cls.__post_init__ is PackableSample.__post_init__
        and _is_generated(cls.__init__)
        and cls.__setattr__ is object.__setattr__
        and cls.__new__ is object.__new__
        and not any("__slots__" in base.__dict__ for base in cls.__mro__)
    )
