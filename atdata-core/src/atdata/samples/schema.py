"""The schema of a sample type: a value that is compared, stored as a record, and made a class.

A record is untrusted wherever it comes from: names, kinds and depth are checked before anything is
made of it. The form is that of section 5 of the storage formats: ``fields`` of ``name``,
``fieldType`` and ``optional``, the kind of a type behind the ``#`` of its ``$type``.
"""

from __future__ import annotations

import copyreg
import dataclasses
from typing import Any, cast

from atdata.errors import SampleTypeError, SchemaError
from atdata.samples.codec import Field, describe
from atdata.samples.dictsample import DictSample
from atdata.samples.fields import PRIMITIVES, SCALARS, Array, Dict, FieldType, List
from atdata.samples.identifiers import why_not_field, why_not_together, why_not_type
from atdata.samples.packable import PackableSample, codec_of, packable

MAX_FIELDS = 1000
MAX_DEPTH = 16

_SCALAR_NAMES = [name for name in SCALARS.values() if name is not None]

# The dtypes that have a name in records; arrays of any other, or of none in particular, are
# written as float32, which is what readers of earlier releases assume.
_DTYPES = frozenset(
    {"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16"}
    | {"uint32", "uint64", "bool", "complex64", "complex128"}
)


@dataclasses.dataclass(frozen=True)
class Schema:
    """The name of a sample type and its fields; two are equal if data of one reads as the other.

    Defaults are not part of a schema. In a class made from one, the optional fields behind the last
    required one default to None.
    """

    name: str
    fields: tuple[Field, ...]

    @classmethod
    def from_type(cls, sample_type: Any) -> Schema:
        """Describe a sample type; ``SampleTypeError`` if the class is none."""
        if sample_type is DictSample:
            return cls("DictSample", ())
        if not isinstance(sample_type, type) or not issubclass(sample_type, PackableSample):
            raise SampleTypeError(
                f"{sample_type!r:.100} is not a sample type; decorate it with @packable"
            )
        fields = codec_of(sample_type).fields
        return cls(sample_type.__name__, tuple(Field(f.name, f.type, f.optional) for f in fields))

    @classmethod
    def from_record(cls, record: Any) -> Schema:
        """Read a record of any prefix; ``SchemaError`` if it is malformed or of unknown kinds."""
        if not isinstance(record, dict):
            raise SchemaError(f"a schema record is a map, not {type(record).__name__}")
        name, fields = record.get("name"), record.get("fields")
        if reason := why_not_type(name):
            raise SchemaError(f"a schema record has an impossible name: {reason}")
        if not isinstance(fields, list) or len(fields) > MAX_FIELDS:
            raise SchemaError(f"schema {name} has no list of at most {MAX_FIELDS} fields")
        parsed = tuple(_read_field(name, field) for field in fields)
        if reason := why_not_together(field.name for field in parsed):
            raise SchemaError(f"schema {name} has fields that are too alike: {reason}")
        return cls(cast("str", name), parsed)

    def to_fields(self, prefix: str = "local") -> list[dict[str, Any]]:
        """Return the ``fields`` of a record, each kind written as ``{prefix}#{kind}``."""
        return [
            {"name": f.name, "fieldType": _write_type(f.type, prefix), "optional": f.optional}
            for f in self.fields
        ]

    def to_type(self, origin: str) -> type:
        """Make a sample class of the schema; the same class for the same schema and origin.

        The origin says whose type it is, so that equally named types of two publishers stay
        apart. Classes and their instances pickle.
        """
        if self == Schema("DictSample", ()):
            return DictSample
        key = (origin, self)
        if key not in _made:
            _made.setdefault(key, _make(self, origin))
        return _made[key]

    def difference(self, other: Schema) -> str:
        """Say in words which fields differ, empty if none do."""
        mine, theirs = ({f.name: str_field(f) for f in s.fields} for s in (self, other))
        lines = [f"-{text}" for name, text in mine.items() if theirs.get(name) != text]
        lines += [f"+{text}" for name, text in theirs.items() if mine.get(name) != text]
        if not lines and self.fields != other.fields:
            return "the same fields in another order"
        return ", ".join(lines)

    @property
    def names(self) -> list[str]:
        """The field names, in order of declaration."""
        return [field.name for field in self.fields]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(str_field(field) for field in self.fields)})"


def str_field(field: Field) -> str:
    """Spell a field as it would be annotated."""
    return f"{field.name}: {field.type}{' | None' if field.optional else ''}"


class DecodedType(type):
    """The metaclass of classes made from schemas; they pickle as schema and origin."""

    # Named so that no field can be called the same.
    __atdata_origin__: tuple[Schema, str]


def _make(schema: Schema, origin: str) -> type:
    annotations: dict[str, Any] = {}
    namespace: dict[str, Any] = {"__module__": __name__, "__annotations__": annotations}
    defaults_may_follow = _trailing_optionals(schema.fields)
    for field in schema.fields:
        kind = field.type.annotation
        annotations[field.name] = kind | None if field.optional else kind
        if field.name in defaults_may_follow:
            namespace[field.name] = None
    namespace["__atdata_origin__"] = (schema, origin)
    made: type = DecodedType(schema.name, (PackableSample,), namespace)
    return packable(made)


def _trailing_optionals(fields: tuple[Field, ...]) -> set[str]:
    """Find the optional fields that no required one follows: the only ones with a default."""
    names: set[str] = set()
    for field in reversed(fields):
        if not field.optional:
            break
        names.add(field.name)
    return names


# Unbounded on purpose: a class must stay the same object for as long as the process lives.
_made: dict[tuple[str, Schema], type] = {}


def _remake(name: str, fields: list[dict[str, Any]], origin: str) -> type:
    return Schema.from_record({"name": name, "fields": fields}).to_type(origin)


def _reduce(made: DecodedType) -> str | tuple[Any, ...]:
    if "__atdata_origin__" not in made.__dict__:
        # A class that somebody derived from a decoded one pickles by name, as classes do.
        return made.__qualname__
    schema, origin = made.__atdata_origin__
    return _remake, (schema.name, schema.to_fields(), origin)


copyreg.pickle(DecodedType, _reduce)


def _read_field(schema_name: Any, record: Any) -> Field:
    if not isinstance(record, dict):
        raise SchemaError(f"a field of schema {schema_name} is not a map")
    name, optional = record.get("name"), record.get("optional", False)
    if reason := why_not_field(name):
        raise SchemaError(f"schema {schema_name} has an impossible field: {reason}")
    where = f"{schema_name}.{name}"
    if not isinstance(optional, bool):
        raise SchemaError(f"{where}: optional is true or false, not {describe(optional)}")
    return Field(cast("str", name), _read_type(record.get("fieldType"), where), optional)


def _read_type(record: Any, where: str, depth: int = 0) -> FieldType:
    if not isinstance(record, dict) or depth > MAX_DEPTH:
        raise SchemaError(f"{where}: its type is not a map of at most {MAX_DEPTH} levels")
    tag = record.get("$type")
    kind = tag.rpartition("#")[2] if isinstance(tag, str) and "#" in tag else record.get("kind")
    primitive = record.get("primitive")
    if kind == "primitive" and isinstance(primitive, str) and primitive in PRIMITIVES:
        return PRIMITIVES[primitive]
    if kind == "ndarray":
        return Array(_read_scalar(record.get("scalarType"), where))
    if kind == "array":
        items = _read_type(record.get("items"), where, depth + 1)
        if not isinstance(items, Array):
            return List(items)
    if kind == "dict":
        return Dict()
    shown = ": ".join(describe(part) for part in (kind, primitive) if part is not None)
    raise SchemaError(f"{where}: fields of type {shown or 'none'} are not supported")


def _read_scalar(name: Any, where: str) -> str | None:
    if name is None or name in _SCALAR_NAMES:
        return cast("str | None", name)
    raise SchemaError(f"{where}: numpy has no scalar type {describe(name)} for arrays")


def _write_type(kind: FieldType, prefix: str) -> dict[str, Any]:
    if isinstance(kind, Array):
        return _write_array(kind, prefix)
    if isinstance(kind, List):
        return {"$type": f"{prefix}#array", "items": _write_type(kind.items, prefix)}
    if isinstance(kind, Dict):
        return {"$type": f"{prefix}#dict"}
    return {"$type": f"{prefix}#primitive", "primitive": kind.tag}


def _write_array(kind: Array, prefix: str) -> dict[str, Any]:
    """Write an array type; ``scalarType`` is present only where the class restricts the dtype."""
    scalar = kind.scalar or "float32"
    name = scalar.rstrip("_")
    record = {"$type": f"{prefix}#ndarray", "dtype": name if name in _DTYPES else "float32"}
    return {**record, "scalarType": scalar} if kind.scalar else record
