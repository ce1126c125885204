"""What type checkers see of datasets and their batches."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import atdata
from atdata import Dataset, DatasetDict, DictSample, SampleBatch, URLSource


@atdata.packable
class Image:
    image: NDArray[np.float32]
    label: str


@atdata.packable
class Label:
    label: str


ds = Dataset[Image]("data-{000..009}.tar")
assert_type(ds, Dataset[Image])
assert_type(ds.sample_type, type[Image])
assert_type(Dataset[Image](URLSource("data.tar")), Dataset[Image])
assert_type(Dataset("data.tar", sample_type=Image), Dataset[Image])
assert_type(Dataset("data.tar"), Dataset[DictSample])

for each in ds:
    assert_type(each, Image)
for sample in ds.ordered():
    assert_type(sample, Image)
for batch in ds.ordered(batch_size=32):
    assert_type(batch, SampleBatch[Image])
    assert_type(batch.samples, list[Image])
    for one in batch:
        assert_type(one, Image)
for sample in ds.shuffled(seed=1):
    assert_type(sample, Image)
for batch in ds.shuffled(batch_size=32, seed=1):
    assert_type(batch, SampleBatch[Image])
assert_type(ds.head(3), list[Image])

assert_type(ds.as_type(Label), Dataset[Label])
assert_type(ds.filter(lambda s: s.label == "cat").take(3), Dataset[Image])
assert_type(ds.select("label"), Dataset[Any])


def to_label(source: Image) -> Label:
    return Label(source.label)


assert_type(ds.map(to_label), Dataset[Label])
assert_type(ds.map(lambda s: Label(s.label), Label), Dataset[Label])
for view in ds.map(to_label).ordered(batch_size=2):
    assert_type(view, SampleBatch[Label])

assert_type(atdata.load_dataset("data/", Image, split="train"), Dataset[Image])
assert_type(atdata.load_dataset("data/", Image), DatasetDict[Image])
assert_type(atdata.load_dataset("data/", Image)["train"], Dataset[Image])
assert_type(atdata.load_dataset("data/", split="train"), Dataset[Any])
assert_type(atdata.load_dataset("data/"), DatasetDict[Any])
