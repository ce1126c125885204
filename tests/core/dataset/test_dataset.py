"""A dataset as a value: what it is made from, what it says of itself, and that it never changes."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, TypeVar

import msgpack
import numpy as np
import pytest
from tests.sample_types import Item, Label, Number, item, items
from tests.shard_files import BytesSource, registered, shard_bytes, write_shard, write_shards
from tests.web_server import serving

from atdata import (
    Dataset,
    DataSource,
    DictSample,
    PackableSample,
    SampleBatch,
    Schema,
    URLSource,
    load_dataset,
    packable,
)
from atdata.dataset import Registered
from atdata.errors import (
    CorruptDataError,
    FieldError,
    LensNotFoundError,
    LimitExceededError,
    MissingMsgpackError,
    NoDataFilesError,
    SampleTypeError,
    ShardNotFoundError,
)

T = TypeVar("T")


@pytest.fixture
def shard(tmp_path: Path) -> str:
    return write_shard(tmp_path / "a.tar", items(10))


@pytest.fixture
def ds(shard: str) -> Dataset[Item]:
    return Dataset[Item](shard)


def is_even(sample: Item) -> bool:
    return sample.number % 2 == 0


def to_number(sample: Item) -> Number:
    return Number(sample.number)


class MinimalSource:
    """What the documents ask of a source: three members, and ``shards`` a method."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths

    @property
    def shard_list(self) -> list[str]:
        return self._paths

    def open_shard(self, shard_id: str) -> IO[bytes]:
        return open(shard_id, "rb")

    def shards(self) -> Iterable[tuple[str, IO[bytes]]]:
        return ((path, self.open_shard(path)) for path in self._paths)


def test_it_is_made_from_a_string(shard: str) -> None:
    assert list(Dataset[Item](shard)) == items(10)


def test_it_is_made_from_a_path(shard: str) -> None:
    assert list(Dataset[Item](Path(shard))) == items(10)


def test_it_is_made_from_url_by_name(shard: str) -> None:
    assert list(Dataset[Item](url=shard)) == items(10)


def test_it_is_made_from_a_file_url(shard: str) -> None:
    assert list(Dataset[Item](f"file://{shard}")) == items(10)
    assert list(Dataset[Item](f"file://localhost{shard}")) == items(10)


def test_it_is_made_from_a_list_of_strings_and_paths(tmp_path: Path) -> None:
    one, two = write_shards(tmp_path, items(10), 2)
    assert list(Dataset[Item]([one, Path(two)])) == items(10)


def test_it_is_made_from_a_brace_pattern(tmp_path: Path) -> None:
    write_shards(tmp_path, items(10), 3)
    assert list(Dataset[Item](f"{tmp_path}/part-{{0000..0002}}.tar")) == items(10)


def test_it_is_made_from_a_source(shard: str) -> None:
    source = URLSource(shard)
    ds = Dataset[Item](source)
    assert ds.source is source
    assert list(ds) == items(10)


def test_a_source_of_three_members_is_enough(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, items(10), 2)
    source: Any = MinimalSource(paths)
    ds = Dataset[Item](source)
    assert list(ds) == items(10)
    assert ds.list_shards() == ds.shard_list == list(ds.shards) == paths


def test_a_source_in_memory_is_enough() -> None:
    source = BytesSource({"x": shard_bytes(items(3)), "y": shard_bytes(items(3, 3))})
    assert isinstance(source, DataSource)
    assert list(Dataset[Item](source)) == items(6)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({}, TypeError), ({"source": "a", "url": "b"}, TypeError), ({"source": 5}, TypeError)],
)
def test_anything_else_is_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Dataset[Item](**arguments)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(NoDataFilesError, match="at least one"):
        Dataset[Item]([])


@pytest.mark.parametrize("kind", [int, "Item", (Item, Item), item(1), T], ids=str)
def test_a_type_that_is_no_sample_is_refused(kind: Any) -> None:
    with pytest.raises(SampleTypeError, match="is not a sample type"):
        Dataset[kind]("a.tar")


def test_generic_code_names_the_type(shard: str) -> None:
    assert list(Dataset[T](shard, sample_type=Item)) == items(10)  # type: ignore[valid-type]
    assert SampleBatch[T](items(2)).sample_type is Item  # type: ignore[valid-type]


def test_a_type_outside_of_the_brackets_is_refused(shard: str) -> None:
    with pytest.raises(TypeError, match=r"Dataset\[Item\]\(...\)"):
        Dataset(shard, Item)  # type: ignore[arg-type]
    with pytest.raises(SampleTypeError, match="'train' is not a sample type"):
        load_dataset(shard, "train")  # type: ignore[call-overload]


def test_it_knows_its_type_when_it_is_made() -> None:
    ds = Dataset[Item]("a.tar")
    assert ds.sample_type is Item
    assert repr(ds.batch_type) == "SampleBatch[Item]"
    assert ds.batch_type([item(1)]).sample_type is Item


def test_without_a_type_samples_are_dict_samples(shard: str) -> None:
    ds: Dataset[Any] = Dataset(shard)
    assert ds.sample_type is DictSample
    assert sorted(ds.column_names) == ["number", "text", "values"]
    assert next(iter(ds)).text == "text 0"


def test_nothing_is_read_until_it_is_iterated() -> None:
    ds = Dataset[Item]("/nowhere/a.tar").filter(is_even).take(3)
    assert ds.column_names == ["number", "text", "values"]
    with pytest.raises(ShardNotFoundError, match=r"/nowhere/a\.tar"):
        list(ds)


def test_it_says_what_it_is(shard: str) -> None:
    shown = repr(Dataset[Item](shard).filter(is_even).map(to_number).take(2))
    assert shown == f"Dataset[Number](URLSource({shard!r})).filter.map.take"


def test_its_schema_is_that_of_its_type(ds: Dataset[Item]) -> None:
    assert ds.schema == Schema.from_type(Item)
    assert ds.column_names == ["number", "text", "values"]
    assert ds.as_type(Label).column_names == ["text"]


def test_the_url_is_one_pattern_of_all_shards(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, items(10), 3)
    ds = Dataset[Item](paths)
    assert URLSource(ds.url).list_shards() == paths
    assert list(Dataset[Item](ds.url)) == items(10)


def test_the_url_of_several_patterns_stands_for_all(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, items(10), 4)
    patterns = [f"{tmp_path}/part-{{0000..0001}}.tar", f"{tmp_path}/part-{{0002..0003}}.tar"]
    assert URLSource(Dataset[Item](patterns).url).list_shards() == paths


def test_the_url_of_one_pattern_is_that_pattern() -> None:
    assert Dataset[Item]("data-{000..009}.tar").url == "data-{000..009}.tar"


def test_the_url_of_a_custom_source_names_its_shards() -> None:
    assert Dataset[Item](BytesSource({"x1": b"", "x2": b""})).url == "x{1,2}"


def test_it_is_iterated_again_and_again(ds: Dataset[Item]) -> None:
    assert list(ds) == list(ds) == items(10)


def test_head_gives_the_first_samples(ds: Dataset[Item]) -> None:
    assert ds.head() == items(5)
    assert ds.head(2) == items(2)
    assert ds.head(0) == []
    assert ds.head(99) == items(10)
    with pytest.raises(ValueError, match="cannot take -1"):
        ds.head(-1)


def test_the_length_is_unknown_for_mere_files(ds: Dataset[Item]) -> None:
    with pytest.raises(TypeError, match="not known"):
        len(ds)
    assert bool(ds)


def test_the_length_is_known_where_an_index_knows_it(ds: Dataset[Item]) -> None:
    [shard] = ds.list_shards()
    counted = ds.with_info(registered=registered({shard: (Path(shard).read_bytes(), 10)}))
    assert len(counted) == len(counted.map(to_number)) == len(counted.as_type(Label)) == 10
    assert len(counted.take(3)) == len(counted.take(3).take(8)) == 3
    assert len(counted.take(30)) == 10
    with pytest.raises(TypeError, match="not known"):
        len(counted.filter(is_even))
    with pytest.raises(TypeError, match="not known"):
        len(counted.filter(is_even).take(1))


def test_no_method_changes_the_dataset(ds: Dataset[Item]) -> None:
    before = repr(ds)
    ds.filter(is_even)
    ds.map(to_number)
    ds.take(1)
    ds.select("text")
    ds.as_type(Label)
    ds.with_info(registered=Registered("digits"))
    assert repr(ds) == before
    assert list(ds) == items(10)
    with pytest.raises(AttributeError):
        ds.source = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        ds.something = 1  # type: ignore[attr-defined]


def test_as_type_without_a_lens_is_an_error(ds: Dataset[Item]) -> None:
    with pytest.raises(LensNotFoundError, match=r"Item.*Number"):
        ds.as_type(Number)
    with pytest.raises(ValueError, match="Number"):
        ds.as_type(Number)


def test_as_its_own_type_it_is_the_same(ds: Dataset[Item]) -> None:
    assert ds.as_type(Item) is ds


def test_an_untyped_dataset_is_viewed_as_its_type(shard: str) -> None:
    assert list(Dataset(shard).as_type(Item)) == items(10)


def test_select_keeps_fields_in_the_order_given(ds: Dataset[Item]) -> None:
    selected = ds.select("text", "number")
    assert selected.column_names == ["text", "number"]
    first = selected.head(1)[0]
    assert isinstance(first, PackableSample)
    assert vars(first) == {"text": "text 0", "number": 0}
    assert list(Dataset(ds.url).select("number"))[3].to_dict() == {"number": 3}


def test_select_of_unknown_or_no_fields_is_an_error(ds: Dataset[Item]) -> None:
    with pytest.raises(FieldError, match=r"Item has no field 'nope'.*number, text, values"):
        ds.select("text", "nope")
    with pytest.raises(FieldError, match="at least one"):
        ds.select()
    with pytest.raises(FieldError, match="each once"):
        ds.select("text", "text")
    with pytest.raises(FieldError, match=r"as in select\('image', 'label'\)"):
        ds.select(["text"])  # type: ignore[arg-type]


@pytest.mark.parametrize("batch_size", [None, 2])
def test_select_of_what_untyped_samples_lack_is_an_error(
    ds: Dataset[Item], batch_size: int | None
) -> None:
    with pytest.raises(FieldError, match="no field 'nope'"):
        list(Dataset(ds.url).select("number", "nope").ordered(batch_size=batch_size))
    mapped = ds.map(lambda sample: {"n": sample.number})
    with pytest.raises(FieldError, match="no field 'text'"):
        list(mapped.select("text").ordered(batch_size=batch_size))


def test_only_whole_numbers_from_0_up_can_be_taken(ds: Dataset[Item]) -> None:
    with pytest.raises(ValueError, match="-1"):
        ds.take(-1)
    with pytest.raises(TypeError, match="integer"):
        ds.take(2.5)  # type: ignore[arg-type]


def test_map_learns_the_type_from_the_annotation_or_the_argument(ds: Dataset[Item]) -> None:
    assert ds.map(to_number).sample_type is Number
    assert ds.map(lambda s: Number(s.number), Number).sample_type is Number
    assert ds.map(lambda s: s).sample_type is Item
    untold: Dataset[Any] = ds.map(str)
    assert untold.sample_type is Item
    assert ds.map(to_number).schema.names == ["number"]


@pytest.mark.parametrize("kind", ["plain", "mapped", "viewed", "selected", "fetched"])
def test_it_pickles(ds: Dataset[Item], kind: str, tmp_path: Path) -> None:
    made: dict[str, Dataset[Any]] = {
        "plain": ds,
        "mapped": ds.filter(is_even).map(to_number).take(3),
        "viewed": ds.as_type(Label),
        "selected": ds.select("number", "values"),
        "fetched": ds.with_info(metadata={"a": 1}),
    }
    copy = pickle.loads(pickle.dumps(made[kind]))
    assert list(copy) == list(made[kind])
    assert copy.sample_type is made[kind].sample_type
    assert copy.metadata == made[kind].metadata
    assert [list(b) for b in copy.ordered(3)] == [list(b) for b in made[kind].ordered(3)]


def test_its_pipelines_pickle(ds: Dataset[Item]) -> None:
    assert list(pickle.loads(pickle.dumps(ds.ordered()))) == items(10)
    pipeline = ds.shuffled(seed=3, batch_size=4)
    copy = pickle.loads(pickle.dumps(pipeline))
    assert [list(batch) for batch in copy] == [list(batch) for batch in pipeline]


def test_metadata_is_read_from_a_file(shard: str, tmp_path: Path) -> None:
    file = tmp_path / "meta.msgpack"
    file.write_bytes(msgpack.packb({"license": "CC0", "n": 3}))
    ds = Dataset[Item](shard, metadata_url=str(file))
    assert ds.metadata_url == str(file)
    assert ds.metadata == {"license": "CC0", "n": 3}


def test_metadata_is_fetched_once_and_cannot_be_spoilt(shard: str, tmp_path: Path) -> None:
    meta = {"text": "x" * 300_000, "n": list(range(1000))}
    (tmp_path / "meta.msgpack").write_bytes(msgpack.packb(meta))
    with serving(tmp_path) as web:
        ds = Dataset[Item](shard, f"{web.url}/meta.msgpack")
        assert web.requests == []
        found = ds.metadata
        assert found == meta
        found["n"] = 0
        assert ds.metadata == meta
        assert ds.filter(is_even).metadata == meta
        assert web.requests == ["GET /meta.msgpack"]


def test_without_metadata_there_is_none(ds: Dataset[Item]) -> None:
    assert ds.metadata is None
    assert ds.metadata_url is None


def test_metadata_that_is_no_map_or_not_there_is_an_error(shard: str, tmp_path: Path) -> None:
    file = tmp_path / "meta.msgpack"
    with pytest.raises(ShardNotFoundError, match=r"meta\.msgpack"):
        _ = Dataset[Item](shard, str(file)).metadata
    file.write_bytes(msgpack.packb([1, 2]))
    with pytest.raises(CorruptDataError, match=r"meta\.msgpack.*not a map"):
        _ = Dataset[Item](shard, str(file)).metadata
    file.write_bytes(bytes(17 << 20))
    with pytest.raises(LimitExceededError, match=r"meta\.msgpack"):
        _ = Dataset[Item](shard, str(file)).metadata


def test_wrap_makes_a_sample_of_a_raw_one(ds: Dataset[Item]) -> None:
    raw = item(4).as_wds
    assert ds.wrap(raw) == item(4)
    assert ds.as_type(Label).wrap(raw) == Label("text 4")
    assert ds.filter(lambda _: False).take(0).map(to_number).wrap(raw) == Number(4)
    assert Dataset(ds.url).wrap(raw).number == 4


def test_wrap_batch_makes_a_batch_of_a_raw_one(ds: Dataset[Item]) -> None:
    raw = {"__key__": ["a", "b"], "msgpack": [item(1).packed, item(2).packed]}
    batch = ds.wrap_batch(raw)
    assert isinstance(batch, SampleBatch)
    assert batch.values.shape == (2, 4)
    assert ds.as_type(Label).wrap_batch(raw).text == ["text 1", "text 2"]


def test_wrap_of_anything_else_names_what_is_missing(ds: Dataset[Item]) -> None:
    with pytest.raises(MissingMsgpackError, match="'msgpack' field not found"):
        ds.wrap({"__key__": "k", "json": b"{}"})
    with pytest.raises(CorruptDataError):
        ds.wrap({"__key__": "k", "msgpack": b"\xc1"})
    with pytest.raises(FieldError, match="number"):
        ds.wrap({"__key__": "k", "msgpack": Label("x").packed})


def test_a_field_of_another_type_is_an_error_that_names_all(tmp_path: Path) -> None:
    @packable
    class Other:
        number: str
        text: str
        values: bytes

    path = write_shard(tmp_path / "b.tar", [Other("one", "t", b"v")])
    with pytest.raises(FieldError, match=r"Item\.number.*int.*str.*'000000'.*b\.tar"):
        list(Dataset[Item](path))


@pytest.mark.parametrize("batch_size", [None, 4])
def test_arrays_of_samples_are_writable_and_independent(
    ds: Dataset[Item], batch_size: int | None
) -> None:
    found: list[Any] = list(ds.ordered(batch_size=batch_size))
    samples = found if batch_size is None else [one for batch in found for one in batch]
    samples[0].values += 100
    assert np.array_equal(samples[1].values, item(1).values)
    assert list(ds) == items(10)
