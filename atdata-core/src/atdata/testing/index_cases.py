"""What the kit for indexes puts into them: a type with all fields, metadata, and names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atdata.samples import PackableSample, packable


@packable
class Everything(PackableSample):
    """Has a field of every type that an index on a network can hold as well."""

    text: str
    integer: int
    number: float
    flag: bool
    raw: bytes
    array: NDArray[Any]
    pixels: NDArray[np.uint8]
    vector: NDArray[np.float64]
    words: list[str]
    integers: list[int]
    numbers: list[float]
    flags: list[bool]
    raws: list[bytes]
    nested: list[list[int]]
    maybe_array: NDArray[np.float32] | None = None
    maybe_words: list[str] | None = None
    maybe_text: str | None = None
    maybe_integer: int | None = None


SAMPLES = [
    Everything(
        text="é🦆",
        integer=-(2**63),
        number=0.1,
        flag=True,
        raw=b"\xff\0",
        array=np.arange(3, dtype=np.int16),
        pixels=np.zeros((2, 2, 3), np.uint8),
        vector=np.array([np.pi, np.nan]),
        words=["a", ""],
        integers=[1, -1],
        numbers=[0.5, 1e300],
        flags=[True, False],
        raws=[b"", b"\0"],
        nested=[[1], []],
    ),
    Everything(
        text="",
        integer=2**63 - 1,
        number=-0.0,
        flag=False,
        raw=b"",
        array=np.zeros((0, 4)),
        pixels=np.full((1, 1, 3), 255, np.uint8),
        vector=np.array([]),
        words=[],
        integers=[],
        numbers=[],
        flags=[],
        raws=[],
        nested=[],
        maybe_array=np.ones(2, np.float32),
        maybe_words=["x"],
        maybe_text="y",
        maybe_integer=0,
    ),
]

METADATA: dict[str, Any] = {
    "source": "é🦆 'quoted'",
    "count": 2**40,
    "negative": -1,
    # A database may write some of these as integers.
    "floats": [0.5, -0.0, 1e-7, 1e16, 1e20, -1e23, 1e300],
    "flag": True,
    "tags": ["a", "b", ""],
    "nested": {"deep": [{"er": "x"}, []], "empty": {}},
}

PLAIN_NAMES = ["mnist", "team/mnist-v2", "with space", "Größe", "名前", "🦆", "a.b_c-d", "MNIST"]

ODD_NAMES = {
    f"{ascii(name)[:40]} of {len(name)}": name
    for name in [
        *("", " ", ".", "..", "../../victim", "a/../b", "/absolute", "a//b", "~", "C:\\x", "a\\b"),
        *("a\0b", "a\nb", "\x1b[31m", "\ud800", "\u202evictim", "e\u0301", "x" * 300, "x" * 10_000),
        *(
            "*",
            "victi?",
            "[a-z]*",
            "%",
            "victim%",
            "_",
            "'; DROP TABLE atdata_records; --",
            "{a,b}",
        ),
        *("victim@1", "@local/victim", "at://did:plc:a/b/c", "atdata://local/dataset/victim"),
        *("https://example.org/a", "a:b", "$ref", "__proto__", "None", "0", "-rf"),
    ]
}
