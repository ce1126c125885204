"""``IndexTests``: what every index promises, local or on a network, as tests to inherit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from atdata.dataset import Dataset
from atdata.errors import AtdataError, ConflictError, InvalidNameError
from atdata.protocols import AbstractIndex, IndexEntry, Packable
from atdata.samples import PackableSample, Schema, packable
from atdata.testing.index_cases import METADATA, ODD_NAMES, PLAIN_NAMES, SAMPLES, Everything
from atdata.testing.kit import Kit, needs
from atdata.testing.readings import Reading, readings, shard_of

OpenIndex = Callable[[], AbstractIndex]
ShardURL = Callable[[Path], str]


class IndexTests(Kit):
    """Hold an index to its contract.

    A subclass has a fixture ``open_index``, a callable that opens a handle, without data store, on
    one place that was empty when the test began, and sees that the handles are closed::

        class TestMyIndex(IndexTests):
            @pytest.fixture
            def open_index(self, tmp_path: Path) -> Callable[[], AbstractIndex]:
                return lambda: MyIndex(tmp_path)

    ``is_shared = False`` leaves out what takes two handles on one place. An index that does not
    take paths of local files as URLs needs the fixture ``shard_url`` as well, a callable that takes
    the path of a shard and returns the URL it can be read at. Tests that a subclass adds may use
    the fixture ``index``, one handle.
    """

    is_shared = True

    @pytest.fixture
    def open_index(self) -> OpenIndex:
        """Return a callable that opens an index."""
        message = f"{type(self).__qualname__} needs a fixture `open_index`: what opens an index"
        raise NotImplementedError(message)

    @pytest.fixture
    def shard_url(self) -> ShardURL:
        """Return a callable that gives the URL of a file."""
        return str

    @pytest.fixture
    def index(self, open_index: OpenIndex) -> AbstractIndex:
        """Open one handle."""
        return open_index()

    def test_it_is_what_the_protocols_say(self, index: AbstractIndex) -> None:
        assert isinstance(index, AbstractIndex)
        assert isinstance(insert(index, "mine"), IndexEntry)
        assert all(isinstance(entry, IndexEntry) for entry in index.list_datasets())
        ref = index.publish_schema(Everything, version="1.0.0")
        assert issubclass(index.decode_schema(ref), PackableSample)
        assert isinstance(index.decode_schema(ref), Packable)

    def test_an_empty_index_lists_nothing(self, index: AbstractIndex) -> None:
        assert list(index.list_datasets()) == []
        assert list(index.datasets) == []
        assert index.list_schemas() == []
        assert list(index.schemas) == []

    def test_a_published_schema_is_got_and_listed(self, index: AbstractIndex) -> None:
        ref = index.publish_schema(Reading, version="1.2.3", description="Numbers: é🦆")
        record = index.get_schema(ref)
        assert (record["name"], record["version"]) == ("Reading", "1.2.3")
        assert record["description"] == "Numbers: é🦆"
        assert [field["name"] for field in record["fields"]] == ["number", "text", "values"]
        [listed] = index.list_schemas()
        assert (listed["name"], listed["version"]) == ("Reading", "1.2.3")
        assert len(list(index.schemas)) == 1

    def test_every_version_is_kept(self, index: AbstractIndex) -> None:
        versions = ["1.0.0", "1.9.0", "1.10.0", "2.0.0"]
        refs = [index.publish_schema(Reading, version=version) for version in versions]
        assert len({*refs}) == len(versions)
        assert [index.get_schema(ref)["version"] for ref in refs] == versions
        assert sorted(found["version"] for found in index.list_schemas()) == sorted(versions)

    def test_a_type_comes_back_with_its_fields(self, index: AbstractIndex) -> None:
        decoded = index.decode_schema(index.publish_schema(Everything, version="1.0.0"))
        assert decoded.__name__ == "Everything"
        assert fields_of(decoded) == fields_of(Everything)

    def test_a_type_that_came_back_reads_and_writes_the_same_samples(
        self, index: AbstractIndex
    ) -> None:
        decoded = index.decode_schema(index.publish_schema(Everything, version="1.0.0"))
        for sample in SAMPLES:
            again = decoded.from_bytes(sample.packed)
            assert again.packed == sample.packed
            assert Everything.from_bytes(again.packed) == sample

    def test_a_schema_gives_the_same_class_each_time(self, index: AbstractIndex) -> None:
        ref = index.publish_schema(Reading, version="1.0.0")
        assert index.decode_schema(ref) is index.decode_schema(ref)

    def test_versions_with_other_fields_are_other_types(self, index: AbstractIndex) -> None:
        types = [changed(number=int), changed(number=int, text=str), changed(number=str)]
        refs = [index.publish_schema(kind, version=f"{n}.0.0") for n, kind in enumerate(types, 1)]
        decoded = [index.decode_schema(ref) for ref in refs]
        assert [fields_of(kind) for kind in decoded] == [fields_of(kind) for kind in types]
        assert len({*decoded}) == len(types)

    def test_a_version_that_exists_is_published_again_without_a_change(
        self, index: AbstractIndex
    ) -> None:
        refs = [index.publish_schema(Reading, version="1.0.0") for _ in range(3)]
        assert len({*refs}) == 1
        assert len(index.list_schemas()) == 1

    def test_k2_a_version_that_exists_never_gets_other_fields(self, index: AbstractIndex) -> None:
        first = changed(number=int)
        ref = index.publish_schema(first, version="1.0.0")
        with pytest.raises(ConflictError):
            index.publish_schema(changed(number=str), version="1.0.0")
        assert fields_of(index.decode_schema(ref)) == fields_of(first)
        assert len(index.list_schemas()) == 1

    def test_a_dataset_that_was_inserted_is_got_and_listed(self, index: AbstractIndex) -> None:
        urls = "https://example.org/a-{000..002}.tar"
        inserted = index.insert_dataset(Dataset[Reading](urls), name="mine")
        [listed] = index.list_datasets()
        [iterated] = index.datasets
        for entry in (inserted, index.get_dataset("mine"), listed, iterated):
            assert entry.name == "mine"
            assert entry.data_urls == [urls]
            assert fields_of(index.decode_schema(entry.schema_ref)) == fields_of(Reading)

    @pytest.mark.parametrize("metadata", [None, METADATA], ids=["none", "some"])
    def test_metadata_come_back_as_they_were(
        self, index: AbstractIndex, metadata: dict[str, Any] | None
    ) -> None:
        insert(index, "mine", metadata=metadata)
        # Some have no way to tell none from empty ones.
        assert (index.get_dataset("mine").metadata or None) == metadata
        assert (index.list_datasets()[0].metadata or None) == metadata

    def test_what_was_inserted_can_be_loaded_by_name(
        self, index: AbstractIndex, tmp_path: Path, shard_url: ShardURL
    ) -> None:
        for number in range(2):
            tmp_path.joinpath(f"{number}.tar").write_bytes(shard_of(readings(3, 3 * number)))
        url = shard_url(tmp_path / "{0..1}.tar")
        index.insert_dataset(Dataset[Reading](url), name="mine")
        entry = index.get_dataset("mine")
        sample_type = index.decode_schema(entry.schema_ref)
        [url] = entry.data_urls
        found = Dataset(url, sample_type=sample_type)
        assert [sample.packed for sample in found] == [one.packed for one in readings(6)]

    def test_datasets_of_one_type_share_its_schema(self, index: AbstractIndex) -> None:
        ref = index.publish_schema(Reading, version="1.0.0")
        assert {insert(index, name).schema_ref for name in "abc"} == {ref}
        assert len(index.list_schemas()) == 1

    def test_a_schema_is_published_with_the_first_dataset_of_its_type(
        self, index: AbstractIndex
    ) -> None:
        assert insert(index, "a").schema_ref == insert(index, "b").schema_ref
        assert [record["name"] for record in index.list_schemas()] == ["Reading"]

    def test_a_schema_that_is_named_is_the_one_that_is_kept(self, index: AbstractIndex) -> None:
        refs = [index.publish_schema(Reading, version=version) for version in ("1.0.0", "2.0.0")]
        insert(index, "mine", schema_ref=refs[0])
        assert index.get_dataset("mine").schema_ref == refs[0]

    def test_datasets_of_several_types_stand_side_by_side(self, index: AbstractIndex) -> None:
        insert(index, "readings")
        index.insert_dataset(Dataset[Everything]("https://example.org/e.tar"), name="everything")
        names = {
            entry.name: index.decode_schema(entry.schema_ref).__name__ for entry in index.datasets
        }
        assert names == {"readings": "Reading", "everything": "Everything"}

    def test_of_a_name_that_is_inserted_again_the_newest_is_got(self, index: AbstractIndex) -> None:
        for number in range(3):
            insert(index, "mine", number=number, metadata={"number": number})
            insert(index, "other", number=number)
        newest = index.get_dataset("mine")
        assert newest.data_urls == [f"https://example.org/mine-{number}.tar"]
        assert newest.metadata == {"number": 2}

    def test_datasets_are_listed_while_others_are_inserted(self, index: AbstractIndex) -> None:
        names = [f"{number:02d}" for number in range(6)]
        for name in names:
            insert(index, name)
        listing = index.datasets
        assert isinstance(listing, Iterator)
        found = [next(listing).name]
        insert(index, "later")
        found += [entry.name for entry in listing]
        assert sorted({*found} - {"later"}) == names
        assert len({*found}) == len(found)

    @pytest.mark.parametrize("name", PLAIN_NAMES, ids=ascii)
    def test_names_that_people_give_are_taken(self, index: AbstractIndex, name: str) -> None:
        insert(index, "victim")
        assert insert(index, name).name == name
        assert index.get_dataset(name).name == name
        assert sorted(entry.name for entry in index.list_datasets()) == sorted([name, "victim"])

    @pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
    def test_p1_p5_a_hostile_name_is_refused_or_kept_exactly(
        self, index: AbstractIndex, name: str
    ) -> None:
        before = insert(index, "victim").data_urls
        try:
            insert(index, name, number=1)
        except InvalidNameError:
            expected = ["victim"]
        else:
            assert index.get_dataset(name).name == name
            expected = [name, "victim"]
        assert sorted(entry.name for entry in index.list_datasets()) == sorted(expected)
        assert index.get_dataset("victim").data_urls == before

    def test_what_is_not_there_is_a_key_error(self, index: AbstractIndex) -> None:
        insert(index, "mine2")
        for name in ("mine", "mine3", "Mine2", "m", "mine2/", "*"):
            with pytest.raises(KeyError) as caught:
                index.get_dataset(name)
            assert isinstance(caught.value, AtdataError)

    def test_a_schema_that_is_not_there_is_a_key_error(self, index: AbstractIndex) -> None:
        ref = index.publish_schema(Reading, version="1.0.0")
        missing = ref[:-1] + ("2" if ref[-1] != "2" else "3")
        with pytest.raises(KeyError):
            index.get_schema(missing)
        with pytest.raises(KeyError):
            index.decode_schema(missing)

    def test_threads_insert_into_one_index(self, index: AbstractIndex) -> None:
        ref = index.publish_schema(Reading, version="1.0.0")
        names = [f"n{number}" for number in range(8)]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda name: insert(index, name, schema_ref=ref), names))
        assert sorted(entry.name for entry in index.list_datasets()) == names

    @needs("is_shared")
    def test_another_handle_finds_what_was_inserted(self, open_index: OpenIndex) -> None:
        left, right = open_index(), open_index()
        assert list(right.list_datasets()) == []
        inserted = insert(left, "mine", metadata=METADATA)
        found = right.get_dataset("mine")
        assert (found.name, found.data_urls) == (inserted.name, inserted.data_urls)
        assert (found.schema_ref, found.metadata) == (inserted.schema_ref, METADATA)
        assert fields_of(right.decode_schema(found.schema_ref)) == fields_of(Reading)


def insert(index: AbstractIndex, name: str, number: int = 0, **options: Any) -> IndexEntry:
    """Register readings that lie somewhere on the web, of which nothing is read."""
    url = f"https://example.org/mine-{number}.tar"
    return index.insert_dataset(Dataset[Reading](url), name=name, **options)


def changed(**annotations: Any) -> type:
    """Make another class called ``Changed``."""
    return packable(type("Changed", (), {"__annotations__": annotations}))


def fields_of(sample_type: type) -> list[str]:
    """Spell a type's fields, without the dtypes of arrays, which not every index keeps."""
    fields = Schema.from_type(sample_type).fields
    plain = (re.sub(r"NDArray\[\w+\]", "NDArray", str(field.type)) for field in fields)
    return [
        f"{field.name}: {kind}{' | None' * field.optional}"
        for field, kind in zip(fields, plain, strict=True)
    ]
