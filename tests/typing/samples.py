"""What type checkers see of sample types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import atdata
from atdata import DictSample, Packable, PackableSample, Schema


@atdata.packable
class Image:
    image: NDArray[np.float32]
    label: str
    tags: list[str] | None = None


@dataclass
class Direct(PackableSample):
    name: str
    values: NDArray[np.float64]


sample = Image(np.zeros((2, 2), np.float32), label="cat")
assert_type(sample, Image)
assert_type(sample.image, NDArray[np.float32])
assert_type(sample.label, str)
assert_type(sample.tags, list[str] | None)

# A constructor is checked: too few arguments, an unknown one, and one of another type.
Image(np.zeros((2, 2), np.float32))  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
Image(np.zeros(2, np.float32), "a", size=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
Image(np.zeros(2, np.float32), 3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

direct = Direct("a", np.zeros(2))
assert_type(direct.packed, bytes)
assert_type(direct.as_wds, dict[str, Any])
assert_type(Direct.from_bytes(b""), Direct)
assert_type(Direct.from_data({"name": "a"}), Direct)
packable: Packable = direct
packable = DictSample(a=1)

untyped = DictSample({"label": "cat"}, score=0.5)
assert_type(untyped.keys(), list[str])
assert_type(untyped.items(), list[tuple[str, Any]])
assert_type(untyped.to_dict(), dict[str, Any])
assert_type(DictSample.from_bytes(untyped.packed), DictSample)

assert_type(Schema.from_type(Image), Schema)
assert_type(Schema.from_type(Image).to_type("anywhere"), type)
