"""What teams do with an index and a store, on every pair of them that is installed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from tests.core.index.kinds import Note, changed, notes
from tests.stories import acts
from tests.stories.conftest import on_each_provider
from tests.stories.places import PROVIDERS, STORES, Place, registered

import atdata
from atdata import Dataset, DatasetDict, Index, load_dataset
from atdata.errors import ConflictError, InvalidNameError, NotFoundError, ShardNotFoundError
from atdata.protocols import AbstractIndex

NOBODY = 65534


def test_every_registered_backend_has_a_place_here() -> None:
    assert set(registered("index provider")) - PROVIDERS.keys() == set()
    assert set(registered("data store")) - STORES.keys() == set()


def test_a_place_that_nobody_else_can_enter_says_so(place: Place) -> None:
    with place.open() as index:
        if place.is_shared:
            assert place.elsewhere(acts.names) == []
        else:
            with pytest.raises(TypeError, match="cannot be pickled"):
                pickle.dumps(index)


def test_a_dataset_is_written_here_and_loaded_by_name_elsewhere(place: Place) -> None:
    splits = {"train": acts.readings(5), "test": acts.readings(3, "field")}
    with place.open() as index:
        entry = index.write(splits, name="team/sensors", maxcount=2, metadata={"unit": "K"})
        assert entry.shards is not None
        assert [shard.count for shard in entry.shards] == [2, 2, 1, 2, 1]
        assert sorted(entry.data_urls) == sorted(place.open_store().list())
        ds = load_dataset("@local/team/sensors", index=index, split="train")
        assert (ds.metadata, len(ds)) == ({"unit": "K"}, 5)
        assert place.elsewhere(acts.load, "team/sensors") == acts.expected(5)
    assert place.elsewhere(acts.load, "team/sensors", "test") == acts.expected(3, "field")


def test_a_second_revision_is_the_newest_and_the_first_stays(place: Place) -> None:
    with place.open() as index:
        first = index.write(acts.readings(2), name="sensors")
        second = index.write(acts.readings(4), name="sensors")
        assert [entry.revision for entry in (first, second)] == [1, 2]
        assert index.history("sensors") == [second, first]
        assert index.get_entry(first.cid) == first
        assert index.get_dataset("sensors@1") == first
        told = [(2, second.cid, second.content_cid), (1, first.cid, first.content_cid)]
        assert place.elsewhere(acts.describe, "sensors") == told
        assert place.elsewhere(acts.load, "sensors") == acts.expected(4)
        assert place.elsewhere(acts.load, "sensors@1") == acts.expected(2)


def test_a_schema_evolves_and_what_was_written_before_stays_readable(place: Place) -> None:
    longer = changed(text=str, tag=str | None, weight=float | None)
    with place.open() as index:
        old = index.write(notes("old"), name="notes")
        new = index.write([longer(text="new", tag=None, weight=0.5)], name="notes")
        refs = [f"atdata://local/sampleSchema/Note@1.0.{patch}" for patch in (0, 1)]
        assert [old.schema_ref, new.schema_ref] == refs
        assert index.write(notes("again"), name="others").schema_ref == refs[0]
        with pytest.raises(ConflictError, match="weight"):
            index.publish_schema(Note, version="1.0.1")
        texts = [
            [(s.text, getattr(s, "weight", None)) for s in load_dataset(ref, index=index)["train"]]
            for ref in ("@local/notes@1", "@local/notes")
        ]
        assert texts == [[("old", None)], [("new", 0.5)]]


def test_many_small_datasets_are_listed_in_order(place: Place) -> None:
    wanted = [f"run-{number:02d}/Ж" for number in range(24)]
    with place.open() as index:
        for name in reversed(wanted):
            index.write(acts.readings(1), name=name)
        assert place.elsewhere(acts.names) == wanted
        assert len(list(index.schemas)) == 1
        assert place.elsewhere(acts.load, wanted[17]) == acts.expected(1)


def test_a_deleted_dataset_is_gone_for_everybody_but_its_shards_stay(place: Place) -> None:
    with place.open() as index:
        first = index.write(acts.readings(2), name="sensors")
        index.write(acts.readings(3), name="sensors")
        index.write(acts.readings(1), name="sensors/field")
        index.delete("sensors")
        assert place.elsewhere(acts.names) == ["sensors/field"]
        assert place.elsewhere(acts.problem, "sensors") == "NotFoundError"
        for ref in ("sensors", "sensors@1"):
            with pytest.raises(NotFoundError):
                index.get_dataset(ref)
        with pytest.raises(NotFoundError):
            index.get_entry(first.cid)
        source = place.open_store().create_source(first.data_urls)
        assert len(list(Dataset[acts.Reading](source))) == 2
        assert index.write(acts.readings(4), name="sensors").revision == 1
        assert place.elsewhere(acts.load, "sensors") == acts.expected(4)


def backup_all_datasets(source: AbstractIndex, target: AbstractIndex) -> None:
    """Insert everything again, as the page on protocols shows it."""
    for entry in source.list_datasets():
        sample_type = source.decode_schema(entry.schema_ref)
        schema_ref = target.publish_schema(sample_type)
        ds = load_dataset(f"@local/{entry.name}", index=source)
        target.insert_dataset(
            ds if len(ds) > 1 else ds["train"],  # type: ignore[arg-type]
            name=entry.name,
            schema_ref=schema_ref,
            metadata=entry.metadata,
        )


def test_datasets_move_in_from_another_index_and_out_again(place: Place, tmp_path: Path) -> None:
    laptop = Index(path=tmp_path / "laptop" / "index.db")
    with laptop, place.open() as index:
        for count in (2, 5):
            splits = {"train": acts.readings(count), "test": acts.readings(1)}
            laptop.write(splits, name="sensors", maxcount=2, metadata={"unit": "K"})
        copy = laptop.copy_to(index, "sensors", shards=True, history=True)
        assert laptop.copy_to(index, "sensors", shards=True, history=True) == copy
        original = laptop.get_dataset("sensors")
        facts = [(one.revision, one.metadata, one.content_cid) for one in (copy, original)]
        assert facts[0] == facts[1]
        (tmp_path / "laptop").rename(tmp_path / "lost")
        assert place.elsewhere(acts.load, "sensors") == acts.expected(5)
        assert place.elsewhere(acts.load, "sensors@1") == acts.expected(2)
        back = Index(path=tmp_path / "new" / "index.db")
        back = Index(provider=back.provider, data_store=atdata.LocalDiskStore(tmp_path / "new"))
        with back:
            backup_all_datasets(index, back)
            moved = load_dataset("@local/sensors", index=back)
            assert isinstance(moved, DatasetDict)
            assert [(s.place, s.values.tolist()) for s in moved["train"]] == acts.expected(5)
            assert moved["test"].metadata == {"unit": "K"}


@on_each_provider
def test_k1_80_versions_that_8_processes_publish_at_once_are_distinct(place: Place) -> None:
    versions = place.everywhere(8, acts.publish, 10)
    assert len({ref for own in versions for ref in own}) == 80
    with place.open() as index:
        assert len(index.list_schemas()) == 80


def test_k3_parallel_writers_of_one_name_lose_nothing(place: Place) -> None:
    revisions = place.everywhere(4, acts.write, "sensors", 3)
    assert sorted(revisions) == [1, 2, 3, 4]
    with place.open() as index:
        urls = [url for entry in index.history("sensors") for url in entry.data_urls]
        assert sorted(urls) == list(place.open_store().list())
        assert len(urls) == 8
        assert index.find_leftovers().found == []
    assert place.elsewhere(acts.load, "sensors@2") == acts.expected(3)


def test_a_private_place_is_read_with_the_keys_of_the_store_alone(
    place: Place, request: pytest.FixtureRequest
) -> None:
    with place.open() as index:
        url = index.write(acts.readings(3), name="secret").data_urls[0]
        assert place.elsewhere(acts.load, "secret") == acts.expected(3)
        if place.store_name == "s3":
            if "moto" not in request.node.name:
                assert place.elsewhere(acts.read_url, url, None) == "AuthenticationError"
        elif os.getuid() == 0 and place.is_shared:
            root = Path(url).parents[1]
            root.chmod(0o700)
            assert place.elsewhere(acts.read_url, url, NOBODY) == "StorageError"
            assert place.elsewhere(acts.load, "secret") == acts.expected(3)
        with pytest.raises((InvalidNameError, ShardNotFoundError)):
            place.open_store().open("/etc/passwd")
