"""Modules written for editors, so that classes made from schemas complete and type-check.

A module is written from a checked schema alone, with every text as a literal, and is never run from
here: what is importable in this process is the decoded class itself, and what the file makes when
it is imported elsewhere is that class again.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from atdata.errors import ConflictError, StorageError
from atdata.home import home, make_home, make_private

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atdata.index.schemas import LocalSchemaRecord
    from atdata.samples import Schema
    from atdata.samples.codec import Field

_AUTHORITY = "local"
_MARK = "Written by atdata for editors and type checkers"
_PLAIN_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+", re.ASCII)

_TEMPLATE = '''{title}

{mark}, from {ref}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atdata.samples import PackableSample, Schema

if TYPE_CHECKING:

    @dataclass
    class {name}(PackableSample):
{body}
else:
    {name} = Schema.from_record({record}).to_type({ref!r})

__all__ = [{name!r}]
'''


class StubFolder:
    """The generated modules of one folder, ``~/.atdata/stubs`` by default.

    Several indexes may share it. Where two have other fields under one name and version, the
    module belongs to the index that wrote it first, and the name of the other one's ends with a
    digest of its fields.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self._is_default = folder is None
        self.folder = home() / "stubs" if folder is None else Path(folder).expanduser().absolute()

    def import_path(self, record: LocalSchemaRecord) -> str:
        """Return the name of a schema's module, ``local.MySample_1_0_0`` for example."""
        return f"{_AUTHORITY}.{self._module(record)}"

    def write(self, record: LocalSchemaRecord) -> Path:
        """Write a schema's module unless it is there as it should be, and make it importable.

        Raises:
            SchemaError: the schema has fields that are not supported.
            ConflictError: the file is that of another schema.
            StorageError: the file cannot be written.
        """
        text = _render(record)
        path = self._path(self._module(record))
        with _translated(path):
            if _read(path) != text:
                self._replace(path, text)
        self._register(record, path)
        return path

    def clear(self) -> int:
        """Remove the generated modules and return how many there were."""
        folder = self.folder / _AUTHORITY
        with _translated(folder):
            stubs = [path for path in folder.glob("*.py") if _schema_of(path)]
            for path in stubs:
                path.unlink()
                sys.modules.pop(f"{_AUTHORITY}.{path.stem}", None)
        return len(stubs)

    def _path(self, module: str) -> Path:
        return self.folder / _AUTHORITY / f"{module}.py"

    def _module(self, record: LocalSchemaRecord) -> str:
        """Return the module's own name: one that no other index has taken for other fields."""
        name, fields = _module_name(record), _record_text(record.schema)
        path = self._path(name)
        with _translated(path):
            is_others = _schema_of(path) == _title(record) and fields not in (_read(path) or "")
        if not is_others:
            return name
        return f"{name}_{hashlib.sha256(fields.encode()).hexdigest()[:8]}"

    def _replace(self, path: Path, text: str) -> None:
        # Where case makes no difference to the file system, two schemas may share a path.
        other = _schema_of(path)
        if other is not None and other != _first_line(text):
            message = f"{path} is the module of another schema; clear_stubs() removes it"
            raise ConflictError(message, path=str(path))
        if self._is_default:
            make_home()
        make_private(path.parent)
        with suppress(FileExistsError), open(path.parent / "__init__.py", "x", opener=_private):
            # A file that is there stays as it is, and so does what a link there leads to.
            pass
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".stub-")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise

    def _register(self, record: LocalSchemaRecord, path: Path) -> None:
        # Its package is not made up as well: the user may have a module called "local".
        module = ModuleType(f"{_AUTHORITY}.{path.stem}", f"Schema: {record.name}@{record.version}")
        module.__file__ = str(path)
        setattr(module, record.name, record.to_type())
        sys.modules[module.__name__] = module


def _module_name(record: LocalSchemaRecord) -> str:
    name = f"{record.schema.name}_{re.sub('[^0-9A-Za-z]', '_', record.version)}"
    if _PLAIN_VERSION.fullmatch(record.version):
        return name
    # 1.0.0-a.1 and 1.0.0-a-1 are different versions.
    return f"{name}_{hashlib.sha256(record.version.encode()).hexdigest()[:8]}"


def _render(record: LocalSchemaRecord) -> str:
    schema = record.schema
    lines = list(_field_lines(schema)) or ["pass"]
    if record.description:
        # Python 3.13 cannot compile a docstring with a lone surrogate.
        text = record.description.encode("utf-8", "replace").decode()
        lines.insert(0, repr(text))
    return _TEMPLATE.format(
        title=_title(record),
        name=schema.name,
        ref=record.ref,
        mark=_MARK,
        body="\n".join(f"        {line}" for line in lines),
        record=_record_text(schema),
    )


def _title(record: LocalSchemaRecord) -> str:
    """Return the first line of a schema's module."""
    return f'"""Schema: {record.schema.name}@{record.version}'


def _record_text(schema: Schema) -> str:
    """Return the literal that a module makes its class of, the same for equal fields."""
    return repr({"name": schema.name, "fields": schema.to_fields()})


def _field_lines(schema: Schema) -> Iterator[str]:
    required = [number for number, field in enumerate(schema.fields) if not field.optional]
    last = required[-1] if required else -1
    for number, field in enumerate(schema.fields):
        # As in the class itself: only optional fields at the end have a default.
        yield f"{field.name}: {_annotation(field)}{' = None' if number > last else ''}"


def _annotation(field: Field) -> str:
    text = re.sub(r"NDArray\[(\w+)\]", r"NDArray[np.\1]", str(field.type))
    text = re.sub(r"NDArray$", "NDArray[Any]", re.sub(r"\bdict\b", "dict[str, Any]", text))
    return f"{text} | None" if field.optional else text


def _schema_of(path: Path) -> str | None:
    """Return the first line of a generated module, None for any other file."""
    text = _read(path) or ""
    return _first_line(text) if text.startswith('"""Schema: ') and _MARK in text else None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", errors="replace")
    except (FileNotFoundError, IsADirectoryError):
        return None


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"the stub {path} cannot be written: {error.strerror}"
        raise StorageError(message, path=str(path)) from error


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
