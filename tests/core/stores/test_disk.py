"""``LocalDiskStore``: shards appear whole under names that stay inside the root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sample_types import Item, Number, items
from tests.shard_files import shard_bytes

from atdata import Dataset, LocalDiskStore, PackableSample, URLSource, stores
from atdata.errors import (
    ConflictError,
    EmptyDatasetError,
    FieldError,
    InvalidNameError,
    StorageError,
)
from atdata.stores import Cut, DataStore


@pytest.fixture
def store(tmp_path: Path) -> LocalDiskStore:
    return LocalDiskStore(tmp_path / "root")


def put(store: DataStore, name: str, data: bytes = b"data") -> str:
    with store.spool() as file:
        file.write(data)
        return store.put(name, file)


def all_files(store: LocalDiskStore) -> list[str]:
    return sorted(str(p.relative_to(store.root)) for p in store.root.rglob("*") if p.is_file())


def test_making_one_touches_nothing(store: LocalDiskStore) -> None:
    assert not store.root.exists()
    assert list(store.list()) == []
    assert not store.root.exists()


def test_urls_are_absolute_paths(store: LocalDiskStore) -> None:
    assert put(store, "a/b.tar") == str(store.root / "a" / "b.tar")


def test_urls_are_read_as_they_are(store: LocalDiskStore) -> None:
    url = put(store, "a.tar", shard_bytes(items(3)))
    assert store.read_url(url) == url
    assert store.supports_streaming() is True
    source = store.create_source([url])
    assert isinstance(source, URLSource)
    assert list(Dataset[Item](source)) == list(Dataset[Item](url)) == items(3)


def test_a_shard_that_is_refused_leaves_no_file(store: LocalDiskStore) -> None:
    put(store, "a.tar", b"first")
    with pytest.raises(ConflictError, match=r"a\.tar"):
        put(store, "a.tar", b"second")
    assert all_files(store) == ["a.tar"]


def test_a_spool_that_is_not_put_is_gone(store: LocalDiskStore) -> None:
    with store.spool() as file:
        file.write(b"data")
        assert list(store.list()) == []
    assert all_files(store) == []


def test_a_spool_is_gone_even_if_its_file_is(store: LocalDiskStore) -> None:
    with store.spool() as file:
        Path(file.name).unlink()
    assert all_files(store) == []


BAD_NAMES = [
    "",
    ".",
    "..",
    "../x.tar",
    "a/../../b.tar",
    "a/../b.tar",
    "a/./b.tar",
    "a//b.tar",
    "/abs.tar",
    "a/",
    "a\0b.tar",
    "a\nb.tar",
    "a\x7fb.tar",
    "{0..3}.tar",
    "a}b.tar",
    "~",
    "~/x.tar",
    "a\\..\\b.tar",
    ".spool/x.tar",
    "a/.spool/x.tar",
    "x" * 300 + ".tar",
    "\u00fc" * 150 + ".tar",
    "a\ud800.tar",
    "file:///etc/x.tar",
    "https://host/x.tar",
]
GOOD_NAMES = [
    "%d.tar",
    "a b.tar",
    "ü.tar",
    "a:b.tar",
    "x" * 200 + ".tar",
    "*.tar",
    "[a].tar",
    "..a/b.tar",
    "~x.tar",
    "-rf.tar",
    "pipe:ls.tar",
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=[f"{name[:12]!a}" for name in BAD_NAMES])
def test_p1_names_that_could_lead_out_are_refused(store: LocalDiskStore, name: str) -> None:
    with pytest.raises(InvalidNameError, match="cannot name a shard") as caught:
        put(store, name)
    assert len(str(caught.value)) < 700
    assert all_files(store) == []
    outside = [path for path in store.root.parent.iterdir() if path != store.root]
    assert outside == [store.root.parent / "atdata-home"] * len(outside)


@pytest.mark.parametrize("name", BAD_NAMES, ids=[f"{name[:12]!a}" for name in BAD_NAMES])
def test_p1_prefixes_that_could_lead_out_are_refused(store: LocalDiskStore, name: str) -> None:
    with pytest.raises(InvalidNameError):
        store.write_samples(items(2), prefix=name)
    assert all_files(store) == []


@pytest.mark.parametrize("name", GOOD_NAMES, ids=[f"{name[:12]!a}" for name in GOOD_NAMES])
def test_p1_odd_names_stay_inside_and_are_read_back(store: LocalDiskStore, name: str) -> None:
    url = put(store, name, shard_bytes(items(2)))
    assert os.path.realpath(url) == str(store.root / name)
    assert list(store.list()) == [url]
    assert list(Dataset[Item](url)) == items(2)


def test_a_link_that_leads_out_is_not_followed(store: LocalDiskStore, tmp_path: Path) -> None:
    put(store, "a.tar")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.tar").write_bytes(b"theirs")
    (store.root / "link").symlink_to(outside)
    (store.root / "file.tar").symlink_to(outside / "x.tar")
    for name in ("link/new.tar", "link/x.tar", "file.tar"):
        with pytest.raises(InvalidNameError, match="leads out"):
            put(store, name)
        with pytest.raises(InvalidNameError, match="leads out"):
            store.open(str(store.root / name))
        with pytest.raises(InvalidNameError, match="leads out"):
            store.delete(str(store.root / name))
    assert [Path(url).name for url in store.list()] == ["a.tar"]
    assert [path.name for path in outside.iterdir()] == ["x.tar"]


def test_a_spool_is_not_reached_by_its_path(store: LocalDiskStore) -> None:
    with store.spool() as file:
        for method in (store.open, store.delete):
            with pytest.raises(InvalidNameError):
                method(file.name)
        assert Path(file.name).exists()


def test_a_root_with_braces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidNameError, match="braces"):
        LocalDiskStore(tmp_path / "{a,b}")


def test_stores_of_one_folder_are_equal(store: LocalDiskStore) -> None:
    same = LocalDiskStore(str(store.root))
    assert same == store
    assert hash(same) == hash(store)
    assert same != LocalDiskStore(store.root / "other")
    assert same != "store"
    assert repr(store) == f"LocalDiskStore({str(store.root)!r})"


def test_by_default_it_is_in_the_home_of_atdata() -> None:
    home = Path(os.environ["ATDATA_HOME"])
    store = LocalDiskStore()
    assert store.root == home / "data"
    assert not home.exists()
    put(store, "a.tar")
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_home_that_others_could_enter_is_closed() -> None:
    home = Path(os.environ["ATDATA_HOME"])
    home.mkdir(mode=0o755)
    put(LocalDiskStore(), "a.tar")
    assert home.stat().st_mode & 0o777 == 0o700


def test_stores_of_plugins_load_when_asked_for() -> None:
    assert issubclass(stores.S3DataStore, DataStore)
    with pytest.raises(AttributeError, match="Nope"):
        _ = stores.Nope


def test_a_tilde_in_the_root_is_the_users_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert LocalDiskStore("~/data").root == tmp_path / "data"


def test_shards_are_cut_by_size_as_well(store: LocalDiskStore) -> None:
    shards = store.write_samples(items(10), prefix="mine", cut=Cut(maxsize=3000))
    assert [shard.count for shard in shards] == [3, 3, 3, 1]


@pytest.mark.parametrize("options", [{"maxcount": 0}, {"maxsize": 0}, {"maxcount": -1}])
def test_a_cut_of_nothing_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Cut(**options)


def test_datasets_are_written_as_documented(store: LocalDiskStore) -> None:
    ds = Dataset[Item](put(store, "a.tar", shard_bytes(items(5))))
    urls = store.write_shards(ds, prefix="copies/v1", maxcount=2)
    assert len(urls) == 3
    assert all(url.startswith(f"{store.root}/copies/v1/data--") for url in urls)
    assert list(Dataset[Item](urls)) == items(5)
    again = store.write_shards(ds, prefix="copies/v1")
    assert not set(again) & set(urls)


def test_the_same_samples_have_the_same_digests_anywhere(tmp_path: Path) -> None:
    one = LocalDiskStore(tmp_path / "1").write_samples(items(9), prefix="a", cut=Cut(maxcount=4))
    two = LocalDiskStore(tmp_path / "2").write_samples(items(9), prefix="b", cut=Cut(maxcount=4))
    assert [shard.sha256 for shard in one] == [shard.sha256 for shard in two]


def test_w6_no_samples_are_an_error_and_no_file(store: LocalDiskStore) -> None:
    with pytest.raises(EmptyDatasetError, match="'mine'") as caught:
        store.write_samples([], prefix="mine")
    assert isinstance(caught.value, ValueError)
    assert all_files(store) == []


def test_a_sample_is_packed_but_once(store: LocalDiskStore, monkeypatch: Any) -> None:
    packed: list[Item] = []
    pack: Any = vars(PackableSample)["packed"]

    def packs(sample: Item) -> Any:
        packed.append(sample)
        return pack.fget(sample)

    monkeypatch.setattr(Item, "packed", property(packs))
    store.write_samples(samples := items(5), prefix="mine")
    assert packed == samples


@pytest.mark.parametrize("bad", [Number(1), 5, None, {"number": 1}])
def test_a_sample_of_another_type_is_an_error_and_no_file(
    store: LocalDiskStore, bad: object
) -> None:
    with pytest.raises(
        FieldError, match=f"sample 3 is of type {type(bad).__name__}, expected Item"
    ):
        store.write_samples([*items(3), bad], prefix="mine", cut=Cut(maxcount=1))
    assert all_files(store) == []
    with pytest.raises(FieldError, match=r"sample [01]"):
        store.write_samples([bad, *items(1)], prefix="mine")
    assert all_files(store) == []


@pytest.mark.parametrize("k", range(21))
def test_w2_an_iterator_that_raises_leaves_nothing(store: LocalDiskStore, k: int) -> None:
    kept = put(store, "mine/before.tar")

    def failing() -> Iterator[Item]:
        yield from items(k)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write_samples(failing(), prefix="mine", cut=Cut(maxcount=3))
    assert list(store.list()) == [kept]
    assert all_files(store) == ["mine/before.tar"]
    assert Path(kept).read_bytes() == b"data"


def test_w2_an_interrupt_leaves_nothing(store: LocalDiskStore) -> None:
    def interrupted() -> Iterator[Item]:
        yield from items(7)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write_samples(interrupted(), prefix="mine", cut=Cut(maxcount=2))
    assert all_files(store) == []


class Undeletable(LocalDiskStore):
    """A store that forgets how to delete one shard."""

    def delete(self, url: str) -> None:
        if url.endswith("000001.tar"):
            raise StorageError("cannot delete this one")
        super().delete(url)


def test_a_shard_that_cannot_be_removed_saves_no_other_and_hides_no_failure(tmp_path: Path) -> None:
    def failing() -> Iterator[Item]:
        yield from items(5)
        raise ZeroDivisionError

    store = Undeletable(tmp_path / "root")
    with pytest.raises(ZeroDivisionError):
        store.write_samples(failing(), prefix="mine", cut=Cut(maxcount=1))
    assert [Path(url).name[-10:] for url in store.list()] == ["000001.tar"]


def test_a_root_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        LocalDiskStore(tmp_path / "file").write_samples(items(1), prefix="a")


def test_a_folder_that_cannot_be_written_is_a_storage_error(store: LocalDiskStore) -> None:
    put(store, "a.tar")
    (store.root / "b").write_bytes(b"")
    with pytest.raises(StorageError, match=r"b/c\.tar cannot be written"):
        put(store, "b/c.tar")
    assert all_files(store) == ["a.tar", "b"]


def test_a_spool_that_is_closed_is_not_put(store: LocalDiskStore) -> None:
    with store.spool() as file:
        file.write(b"data")
    with pytest.raises(ValueError, match="closed file") as caught:
        store.put("a.tar", file)
    assert not isinstance(caught.value, InvalidNameError)
    assert all_files(store) == []


def test_a_url_that_is_no_path_is_refused(store: LocalDiskStore) -> None:
    url = f"{store.root}/a\0b.tar"
    for act in (store.open, store.delete, store.create_source([url]).open_shard):
        with pytest.raises(InvalidNameError):
            act(url)
