"""Modules written for editors, so that classes made from schemas complete and type-check.

A module is written from a checked schema alone, with every text as a literal, and is never run from
here: what is importable in this process is the decoded class itself, and what the file makes when
it is imported elsewhere is that class again.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from atdata.errors import ConflictError, StorageError
from atdata.home import home, make_home
from atdata.index.schemas import LocalSchemaRecord
from atdata.samples.codec import Field

_AUTHORITY = "local"

_TEMPLATE = '''"""Schema: {name}@{version}

Written by atdata for editors and type checkers, from the schema {ref}.
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
    """The generated modules of one folder, ``~/.atdata/stubs`` by default."""

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self._is_default = folder is None
        self.folder = home() / "stubs" if folder is None else Path(folder).expanduser()

    def import_path(self, record: LocalSchemaRecord) -> str:
        """Return the name of a schema's module, ``local.MySample_1_0_0`` for example."""
        return f"{_AUTHORITY}.{_module_name(record)}"

    def write(self, record: LocalSchemaRecord) -> Path:
        """Write a schema's module unless it is there as it should be, and make it importable.

        Raises:
            SchemaError: the schema has fields that are not supported.
            ConflictError: the file is that of another schema.
        """
        text = _render(record)
        path = self.folder / _AUTHORITY / f"{_module_name(record)}.py"
        try:
            if not path.exists() or path.read_text("utf-8") != text:
                self._replace(path, text)
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"the stub {path} cannot be written: {error}", path=str(path)) from error
        self._register(record, path)
        return path

    def clear(self) -> int:
        """Remove the generated modules and return how many there were."""
        stubs = [path for path in (self.folder / _AUTHORITY).glob("*.py") if path.name != "__init__.py"]
        for path in stubs:
            path.unlink()
        return len(stubs)

    def _replace(self, path: Path, text: str) -> None:
        if path.exists() and _first_line(path.read_text("utf-8")) != _first_line(text):
            raise ConflictError(f"{path} is not the module of this schema; clear_stubs() removes it")
        if self._is_default:
            make_home()
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            file.write(text)
        Path(file.name).replace(path)

    def _register(self, record: LocalSchemaRecord, path: Path) -> None:
        parent = ModuleType(_AUTHORITY, "Sample types of local schemas.")
        parent.__path__ = [str(path.parent)]
        sys.modules.setdefault(_AUTHORITY, parent)
        module = ModuleType(self.import_path(record), f"Schema: {record.name}@{record.version}")
        module.__file__ = str(path)
        setattr(module, record.name, record.to_type())
        sys.modules[module.__name__] = module


def _module_name(record: LocalSchemaRecord) -> str:
    return f"{record.schema.name}_{re.sub('[^0-9A-Za-z]', '_', record.version)}"


def _render(record: LocalSchemaRecord) -> str:
    schema = record.schema
    lines = [f"{field.name}: {_annotation(field)}" for field in schema.fields]
    if record.description:
        lines.insert(0, repr(str(record.description)))
    return _TEMPLATE.format(
        name=schema.name,
        version=record.version,
        ref=record.ref,
        body="\n".join(f"        {line}" for line in lines or ["pass"]),
        record=repr({"name": schema.name, "fields": schema.to_fields()}),
    )


def _annotation(field: Field) -> str:
    text = re.sub(r"NDArray\[(\w+)\]", r"NDArray[np.\1]", str(field.type))
    return f"{re.sub(r'NDArray$', 'NDArray[Any]', text)}{' | None' if field.optional else ''}"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
