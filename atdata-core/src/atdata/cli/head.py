"""``atdata head``: the first samples of a dataset, arrays as their dtype and shape."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import typer

from atdata.cli.indexes import Allow, open_index
from atdata.cli.output import AsJson, Cell, print_json, print_table
from atdata.dataset import DatasetDict, load_dataset
from atdata.errors import CorruptDataError
from atdata.samples import DictSample, Schema
from atdata.samples.arrays import MAGIC, array_layout

# What no dataset's name looks like, but for one in ".tar", which "@local/" in front makes a name.
_FILE = re.compile(
    r"(?!at://|atdata://)[A-Za-z][\w+.-]*://|\.{0,2}/|~/|.*[*?{]|(?!@).*\.tar(\.gz)?$"
)
_REFERENCE = re.compile(r"@|at://|atdata://")


def head(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="A dataset, or a path, URL or pattern of shards."),
    ],
    count: Annotated[int, typer.Option("-n", min=1, help="How many samples.")] = 5,
    split: Annotated[str | None, typer.Option(help="Of which split, if not the first.")] = None,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """Show the first samples; arrays as dtype and shape."""
    splits = _load(what, context.obj, allow or ())
    name = split or next(iter(splits))
    dataset = splits.choose(name)
    samples = [_fields_of(sample) for sample in dataset.head(count)]
    if as_json:
        shown = [{field: summarise(value) for field, value in one.items()} for one in samples]
        print_json({"split": name, "type": dataset.sample_type.__name__, "samples": shown})
        return
    columns = dict.fromkeys(field for one in samples for field in one)
    rows = [{field: _cell(one.get(field)) for field in columns} for one in samples]
    print_table(rows, f"{dataset.sample_type.__name__}, split {name}")


def summarise(value: Any) -> Any:
    """Return a value as JSON can say it, arrays and bytes as what they are."""
    if isinstance(value, np.ndarray):
        return {"dtype": str(value.dtype), "shape": list(value.shape)}
    if isinstance(value, bytes):
        return _stored_array(value) or {"bytes": len(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [summarise(item) for item in value]
    if isinstance(value, dict):
        return {key: summarise(item) for key, item in value.items()}
    return value


def _load(what: str, where: str | None, allow: Sequence[str]) -> DatasetDict[Any]:
    if _FILE.match(what):
        return load_dataset(what)
    is_foreign = _REFERENCE.match(what) and not re.match("@local/|atdata://local/", what)
    if is_foreign:
        return load_dataset(what, allow=allow)
    with open_index(where) as index:
        named = what if _REFERENCE.match(what) else f"@local/{what}"
        return load_dataset(named, index=index, allow=allow)


def _fields_of(sample: Any) -> dict[str, Any]:
    if isinstance(sample, DictSample):
        return sample.to_dict()
    return {name: getattr(sample, name) for name in Schema.from_type(type(sample)).names}


def _stored_array(data: bytes) -> dict[str, Any] | None:
    """Describe the array that bytes of an untyped sample hold, if they do."""
    if not data.startswith(MAGIC):
        return None
    try:
        layout = array_layout(data)
    except CorruptDataError:
        return None
    return {"dtype": str(layout.dtype), "shape": list(layout.shape)}


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, str | int):
        return value
    shown = summarise(value)
    if isinstance(value, np.ndarray | bytes):
        is_array = "dtype" in shown
        return f"{shown['dtype']}{shown['shape']}" if is_array else f"{shown['bytes']} bytes"
    return json.dumps(shown, ensure_ascii=False)
