"""Which files a path stands for: all that are there, none twice, and none left out in silence."""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.sample_types import Item, items
from tests.shard_files import BytesSource, shard_bytes, tar_bytes, write_shard
from tests.web_server import serving

from atdata import Dataset, URLSource, load_dataset
from atdata.errors import (
    DataFilesError,
    EmptyDatasetError,
    NoDataFilesError,
    ShardNotFoundError,
    StorageError,
)


def write(path: Path, start: int = 0) -> str:
    """Write a shard of two samples, compressed if its name says so."""
    data = shard_bytes(items(2, start=start))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if path.suffix.lower() == ".tar" else gzip.compress(data))
    return str(path)


def shards(found: Any) -> dict[str, list[str]]:
    return {split: [Path(one).name for one in ds.list_shards()] for split, ds in found.items()}


def numbers(ds: Any) -> list[int]:
    return [sample.number for sample in ds]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Make a folder of shards with several endings."""
    folder = tmp_path / "set"
    for start, name in enumerate(["a.tar", "b-train.tar.gz", "test/c.tgz", "D.TAR"]):
        write(folder / name, 2 * start)
    return folder


def test_a_folder_of_plain_and_gzip_shards_is_read_whole(mixed: Path) -> None:
    found = load_dataset(mixed, Item)
    assert shards(found) == {"train": ["D.TAR", "a.tar", "b-train.tar.gz"], "test": ["c.tgz"]}
    assert numbers(found["train"]) == [6, 7, 0, 1, 2, 3]
    assert numbers(found["test"]) == [4, 5]


@pytest.mark.parametrize("name", ["b-train.tar.gz", "test/c.tgz", "*/c.tgz", "b-*.tar.{gz,gz}"])
def test_gzip_shards_are_read_by_every_way_of_naming_them(mixed: Path, name: str) -> None:
    assert len(numbers(load_dataset(f"{mixed}/{name}", Item).ordered())) == 2
    assert len(numbers(load_dataset(mixed, Item, data_files=name, split="train"))) == 2


def test_files_that_are_no_shards_are_passed_over(mixed: Path) -> None:
    for name in ("notes.txt", "a.tar.md5", "images.zip", "._a.tar", "a.tar.part", "b.json.gz"):
        (mixed / name).write_bytes(b"something else")
    assert load_dataset(mixed, Item).num_shards == {"train": 3, "test": 1}


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("x.tar.zst", "unzstd"),
        ("x.tzst", "unzstd"),
        ("deep/x.TAR.XZ", "unxz"),
        ("x.txz", "unxz"),
        ("x.tar.bz2", "bunzip2"),
        ("x.tbz2", "bunzip2"),
        ("x.tar.lz4", "unlz4"),
        ("x.tar.br", "brotli -d"),
        ("x.tar.zip", "unzip"),
    ],
)
def test_shards_with_another_compression_are_named_and_the_remedy_works(
    mixed: Path, name: str, command: str
) -> None:
    (mixed / name).parent.mkdir(exist_ok=True)
    (mixed / name).write_bytes(b"compressed")
    with pytest.raises(DataFilesError) as caught:
        load_dataset(mixed, Item)
    assert f"{mixed / name} is not read; decompress with {command}" in str(caught.value)
    assert caught.value.details["files"] == [str(mixed / name)]
    pattern = str(caught.value).rpartition("pattern like ")[2]
    assert len(numbers(load_dataset(pattern, Item, split="train"))) == 2
    for given in (mixed / name, f"{mixed}/**/x*"):
        with pytest.raises(DataFilesError, match=command):
            load_dataset(given, Item)


def test_of_many_left_out_a_few_are_named(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.tar.zst").write_bytes(b"compressed")
    with pytest.raises(DataFilesError, match=r"0\.tar\.zst, .*2\.tar\.zst and 6 more is not read"):
        load_dataset(tmp_path, Item)


@pytest.mark.parametrize("other", ["b.tgz", "a.tar.gz", "a.tgz", "a.TAR.GZ"])
def test_a_shard_beside_its_compressed_self_is_refused(tmp_path: Path, other: str) -> None:
    first = "a.tar" if other.startswith("a") else "b.tar.gz"
    write(tmp_path / first)
    write(tmp_path / other)
    write(tmp_path / "sub" / "a.tar.gz")
    for path in (tmp_path, f"{tmp_path}/[ab].*", f"{tmp_path}/{{{first},{other}}}"):
        with pytest.raises(DataFilesError, match=r"\.\S+ and .*\.\S+ look like one"):
            load_dataset(path, Item)
    (tmp_path / "sub" / "a.tar.gz").unlink()
    with pytest.raises(DataFilesError) as caught:
        load_dataset(tmp_path, Item)
    pattern = str(caught.value).rpartition("pattern like ")[2]
    assert numbers(load_dataset(pattern, Item, split="train")) == [0, 1]


def test_a_link_to_a_shard_of_the_same_split_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "a.tar")
    (tmp_path / "latest.tar").symlink_to("a.tar")
    os.link(tmp_path / "a.tar", tmp_path / "b.tar")
    for path in (tmp_path, f"{tmp_path}/*.tar", f"{tmp_path}/{{a,b,latest}}.tar"):
        assert numbers(load_dataset(path, Item, split="train")) == [0, 1]
    found = load_dataset(tmp_path, Item, data_files=["b.tar", "*.tar"])
    assert shards(found) == {"train": ["b.tar"]}


def test_a_file_in_two_splits_is_refused_unless_they_are_named(tmp_path: Path) -> None:
    write(tmp_path / "train" / "a.tar")
    (tmp_path / "test").symlink_to("train")
    with pytest.raises(DataFilesError, match=r"a\.tar are one file in two splits.*data_files"):
        load_dataset(tmp_path, Item)
    files = {"train": "train/*.tar", "test": "test/*.tar"}
    assert load_dataset(tmp_path, Item, data_files=files).num_shards == {"train": 1, "test": 1}


def test_links_that_lead_in_a_circle_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path / "sub" / "a.tar")
    (tmp_path / "sub" / "self").symlink_to(".")
    (tmp_path / "sub" / "up").symlink_to("..")
    assert load_dataset(tmp_path, Item).num_shards == {"train": 1}
    assert load_dataset(f"{tmp_path}/**/*.tar", Item).num_shards == {"train": 1}


def test_a_linked_folder_is_looked_into(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "a.tar")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to("../elsewhere")
    assert load_dataset(tmp_path / "set", Item).num_shards == {"train": 1}


def test_a_link_that_leads_nowhere_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "a.tar")
    (tmp_path / "b.tar").symlink_to("gone.tar")
    for path in (tmp_path, f"{tmp_path}/*.tar"):
        with pytest.raises(ShardNotFoundError, match=r"b\.tar"):
            list(load_dataset(path, Item, split="train"))


def test_a_folder_called_like_a_shard_is_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "set.tar" / "a.tar")
    assert load_dataset(tmp_path, Item).num_shards == {"train": 1}
    assert load_dataset(tmp_path / "set.tar", Item).num_shards == {"train": 1}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "a.tar")
    (tmp_path / "private").mkdir(mode=0)
    with pytest.raises(StorageError, match="private cannot be read: Permission denied"):
        load_dataset(tmp_path, Item)


@pytest.mark.parametrize(
    "names",
    [
        ["a.tar", "a.tar"],
        ["a.tar", "./a.tar"],
        ["a.tar", "sub/../a.tar"],
        ["a.tar", Path("a.tar")],
        ["{a,b}.tar", "a.tar"],
        "{a,a}.tar",
    ],
)
def test_a_shard_named_twice_is_refused(
    names: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for ds in (Dataset[Item](names), Dataset[Item](URLSource(names))):
        with pytest.raises(DataFilesError, match=r"names a\.tar .*twice; name it once"):
            list(ds)


def test_an_absolute_path_is_the_same_as_a_relative_one_and_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for other in (f"{tmp_path}/a.tar", f"file://{tmp_path}/a.tar"):
        with pytest.raises(DataFilesError, match="twice"):
            list(Dataset[Item](["a.tar", other]))


def test_a_source_that_lists_a_shard_twice_is_refused() -> None:
    class Twice(BytesSource):
        def list_shards(self) -> list[str]:
            return [*super().list_shards(), *super().list_shards()]

    with pytest.raises(DataFilesError, match="names one twice"):
        list(Dataset[Item](Twice({"one": shard_bytes(items(2))})))


SPLITS = ["dev", "test", "validation"]


@pytest.mark.parametrize("folder", SPLITS)
def test_the_folders_above_a_named_file_say_nothing(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / folder
    write(home / "digits.tar")
    monkeypatch.chdir(home.parent)
    monkeypatch.setenv("HOME", str(home.parent))
    for path in (home / "digits.tar", f"~/{folder}/digits.tar", f"{folder}/digits.tar"):
        assert list(load_dataset(path, Item)) == ["train"]
    monkeypatch.chdir(home)
    assert list(load_dataset("digits.tar", Item)) == list(load_dataset("*.tar", Item)) == ["train"]


@pytest.mark.parametrize("pattern", ["*.tar", "{a,b}.tar", "**/*.tar", "a*"])
def test_folders_above_the_last_before_a_pattern_say_nothing(pattern: str, tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / "test" / "project" / f"{name}.tar")
        write(tmp_path / "project" / "test" / f"{name}.tar")
    assert list(load_dataset(f"{tmp_path}/test/project/{pattern}", Item)) == ["train"]
    assert list(load_dataset(f"{tmp_path}/project/test/{pattern}", Item)) == ["test"]


def test_named_files_on_the_web_have_splits_by_their_own_names() -> None:
    found = load_dataset("https://example.com/test/a.tar?validation=1", Item)
    assert list(found) == ["train"]
    assert list(load_dataset("https://example.com/train/a-test.tar?x=[1]*", Item)) == ["test"]


@pytest.mark.parametrize("path", ["set/", "set/*.tar", "set/[ab].tar", "set/?sig=1"])
def test_where_a_web_server_lists_nothing_the_remedy_is_named(tmp_path: Path, path: str) -> None:
    with (
        serving(tmp_path) as web,
        pytest.raises(NoDataFilesError, match=r"does not list files there; name the shards, as in"),
    ):
        load_dataset(f"{web.url}/{path}", Item)


def test_folders_that_fsspec_lists_are_loaded() -> None:
    import fsspec

    for number, name in enumerate(["a.tar", "test/b.tar", ".spool/c.tar", "notes.txt"]):
        with fsspec.open(f"memory://listed/{name}", "wb") as out:
            out.write(shard_bytes(items(2, start=2 * number)))
    for url in ("memory://listed", "memory://listed/"):
        found = load_dataset(url, Item)
        assert {split: numbers(ds) for split, ds in found.items()} == {
            "train": [0, 1],
            "test": [2, 3],
        }
    with pytest.raises(NoDataFilesError, match="memory://nothing/"):
        load_dataset("memory://nothing/", Item)


def test_a_shard_without_samples_leaves_the_others_readable(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes([]))
    (tmp_path / "b.tar").write_bytes(bytes(1024))
    (tmp_path / "z.tar").write_bytes(tar_bytes([], tarfile.PAX_FORMAT))
    write(tmp_path / "m.tar")
    ds = load_dataset(tmp_path, Item, split="train")
    assert numbers(ds) == [0, 1]
    assert [len(batch) for batch in ds.ordered(batch_size=5)] == [2]
    assert sorted(numbers(ds.shuffled(seed=1))) == [0, 1]


def test_a_dataset_without_samples_says_so(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.tar").write_bytes(tar_bytes([]))
    ds = load_dataset(tmp_path, Item, split="train")
    for read in (list, Dataset.to_arrow, lambda ds: list(ds.shuffled())):
        with pytest.raises(EmptyDatasetError, match=r"a\.tar.* 1 more.*holds no samples"):
            read(ds)
    assert ds.head(0) == []


def test_a_filter_may_leave_nothing(tmp_path: Path) -> None:
    ds = Dataset[Item](write_shard(tmp_path / "a.tar", items(3)))
    assert list(ds.filter(lambda _: False)) == []


def test_a_reader_of_an_empty_part_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes([]))
    write(tmp_path / "b.tar")
    monkeypatch.setenv("WORLD_SIZE", "2")
    parts = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        parts.append(numbers(load_dataset(tmp_path, Item, split="train").ordered()))
    assert parts == [[], [0, 1]]
