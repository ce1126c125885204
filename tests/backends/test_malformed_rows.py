"""Rows that others have put into an index: whatever they are, the rest goes on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.backends.malformed_rows import PLANT, Row, malformed_rows
from tests.core.index.kinds import Note, notes

from atdata import Index, LocalDiskStore, load_dataset
from atdata.errors import AtdataError, CorruptDataError, NotFoundError, UnreadableRecordWarning
from atdata.index.pending import PendingWrite

GOOD = ["a", "b/c", "zz"]
SEED = 20_10

Place = tuple[str, str]


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return the argument of ``Index`` that says where, and what it is."""
    if request.param == "sqlite":
        return "path", str(tmp_path / "index.db")
    if request.param == "redis":
        return "url", request.getfixturevalue("redis_server").fresh_url()
    return "dsn", request.getfixturevalue("postgres_server").fresh_dsn()


@pytest.fixture
def index(place: Place, tmp_path: Path) -> Iterator[Index]:
    argument, where = place
    store = LocalDiskStore(tmp_path / "shards")
    with Index(data_store=store, **{argument: where}) as made:  # type: ignore[arg-type]
        yield made


@contextmanager
def reports() -> Iterator[list[str]]:
    """Collect what is reported of records that cannot be read; any other warning is an error."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("always", UnreadableRecordWarning)
        yield found
        found += [str(one.message) for one in caught]


def leave_shards(index: Index, store: LocalDiskStore) -> list[str]:
    """Leave what a writer that has stopped half-way leaves."""
    pending = PendingWrite(index.provider, store, "lost")
    with pending:
        shards = store.write_samples(notes("lost"), prefix="lost", token=pending.token)
        pending.withdraw()
    return [shard.url for shard in shards]


@pytest.mark.parametrize(
    "count", [300, pytest.param(10_000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_malformed_rows_of_every_kind_are_in_nobodys_way(
    index: Index, place: Place, tmp_path: Path, count: int
) -> None:
    written = {name: index.write(notes(name), name=name) for name in GOOD}
    store = LocalDiskStore(tmp_path / "shards")
    left = leave_shards(index, store)
    cids = [entry.cid for entry in written.values()]
    rows = list(malformed_rows(count, SEED, [*GOOD, *cids]))
    assert PLANT[place[0]](place[1], rows) > count / 2
    with reports() as first:
        check_listings(index)
        check_writes(index, tmp_path)
        seen, removed = index.find_leftovers(), index.delete_leftovers()
        assert [one.url for one in seen.found] == [one.url for one in removed.found] == left
        assert seen.unreadable
    assert len(first) == len({*first}) > 0
    with reports() as second:
        check_listings(index)
        assert index.delete_leftovers().found == []
    assert [one for one in second if one in first] == []
    for name in GOOD:
        assert [s.text for s in load_dataset(f"@local/{name}", split="train", index=index)] == [
            name
        ]
    with reports():
        ask_for_each(index, rows)
        delete_some(index, rows)
        check_listings(index)


def check_listings(index: Index) -> None:
    """List everything, and use what is listed."""
    listed = index.list_datasets()
    names = [entry.name for entry in listed]
    assert {*GOOD} <= {*names}
    assert names == sorted(names, key=str.encode)
    for entry in listed:
        with suppress(AtdataError):
            repr((entry.cid, entry))
    for record in index.schemas:
        with suppress(AtdataError):
            repr((record.to_type(), record.to_dict()))
    for name in GOOD:
        assert index.history(name)[-1].revision == 1
        first = index.get_dataset(f"{name}@1")
        assert index.get_entry(first.cid).cid == first.cid


def check_writes(index: Index, folder: Path) -> None:
    """Write a new dataset and a new revision, and copy one."""
    assert index.write(notes("new"), name="new").revision == 1
    assert index.write(notes("a"), name="a").revision == 2
    with Index(path=folder / "other.db", data_store=LocalDiskStore(folder / "b")) as other:
        other.write(notes("copied"), name="copied")
        assert index.copy_from(other, "copied", shards=True).name == "copied"
    assert index.get_schema_record(index.publish_schema(Note)).name == "Note"


def ask_for_each(index: Index, rows: list[Row]) -> None:
    """Ask for what each row is called: all that may come is an answer, or an error of ours."""
    look_up = {
        "dataset": (index.get_dataset, index.get_entry_by_name, index.history),
        "revision": (index.get_dataset, index.history),
        "cid": (index.get_entry,),
        "schema": (index.get_schema, index.decode_schema),
        "write": (),
    }
    for row in rows:
        for ask in look_up[row.kind]:
            with suppress(AtdataError):
                ask(row.name.decode(errors="surrogateescape"))


def delete_some(index: Index, rows: list[Row]) -> None:
    """Delete datasets whose records cannot be read, by their names."""
    deleted = 0
    for row in rows:
        if row.kind != "dataset" or row.version or deleted == 10:
            continue
        name = row.name.decode(errors="replace")
        try:
            index.get_entry_by_name(name)
        except CorruptDataError:
            index.delete(name)
            deleted += 1
            with pytest.raises(NotFoundError):
                index.get_entry_by_name(name)
        except AtdataError:
            continue
    assert deleted


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"name": "mine"}'])
def test_a_name_whose_record_cannot_be_read_is_written_again(
    index: Index, place: Place, body: bytes
) -> None:
    """The number goes on from the revisions that there are."""
    rows = [Row("dataset", b"mine", b"", body), Row("revision", b"mine", b"00000007", body)]
    assert PLANT[place[0]](place[1], [Row("label", b"x", b"", b"{}"), *rows])
    with pytest.raises(CorruptDataError, match="dataset/mine/"):
        index.get_dataset("mine")
    with reports() as found:
        assert index.write(notes("y"), name="mine").revision == 8
    assert len(found) == 1
    assert index.get_dataset("mine").revision == 8
