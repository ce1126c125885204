"""What ``LocalDiskStore`` and its neighbours make is private, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sample_types import Item, items

from atdata import Dataset, Index, LocalDiskStore
from atdata.home import home


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=["000", "022", "077"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Return what modes a folder and all that is below have, by kind, those of one kind joined."""
    found: dict[str, int] = {}
    for path in [folder, *folder.rglob("*")]:
        kind = ("folder " if path.is_dir() else "file ") + path.suffix
        found[kind] = found.get(kind, 0) | stat.S_IMODE(path.stat().st_mode)
    return found


@pytest.mark.usefixtures("umask")
def test_what_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    store = LocalDiskStore(tmp_path / "team" / "new" / "root")
    store.identify()
    with store.spool():
        store.write_samples(items(2), prefix="deep/er")
        found = modes(tmp_path / "team")
    assert found == {"folder ": 0o700, "file .tar": 0o600, "file .tmp": 0o600, "file ": 0o600}


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(
    ("root", "file"),
    [(0o700, 0o600), (0o750, 0o640), (0o2770, 0o640), (0o755, 0o644), (0o1777, 0o644)],
    ids=lambda mode: f"{mode:o}",
)
def test_what_is_made_in_a_folder_of_a_team_is_as_open_as_that(
    tmp_path: Path, root: int, file: int
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root").chmod(root)
    store = LocalDiskStore(tmp_path / "root")
    store.identify()
    with store.spool():
        store.write_samples(items(2), prefix="deep/er")
        found = modes(store.root)
    assert found == {"folder ": root, "file .tar": file, "file .tmp": file, "file ": file}


@pytest.mark.usefixtures("umask")
def test_a_folder_in_a_store_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    store = LocalDiskStore(tmp_path / "root")
    [kept] = store.write_samples(items(1), prefix="mine")
    (store.root / "mine").chmod(0o755)
    store.write_samples(items(1), prefix="mine/more")
    assert stat.S_IMODE((store.root / "mine").stat().st_mode) == 0o755
    assert modes(store.root / "mine" / "more") == {"folder ": 0o700, "file .tar": 0o600}
    assert list(Dataset[Item](kept.url)) == items(1)


@pytest.mark.usefixtures("umask")
def test_an_index_its_log_and_its_modules_are_their_owners_alone(tmp_path: Path) -> None:
    with Index(
        path=tmp_path / "team" / "mine" / "index.db",
        auto_stubs=True,
        stub_dir=tmp_path / "team" / "stubs",
    ) as index:
        entry = index.write(items(2), name="mine")
        index.decode_schema(entry.schema_ref)
        found = modes(tmp_path / "team")
    assert found.keys() >= {"file .db", "file .db-wal", "file .db-shm", "file .tar", "file .py"}
    assert {mode for kind, mode in found.items() if kind.startswith("file")} == {0o600}
    assert found["folder "] == 0o700


@pytest.mark.usefixtures("umask")
def test_the_home_and_what_is_made_above_it_are_their_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATDATA_HOME", str(tmp_path / "far" / "away"))
    LocalDiskStore().write_samples(items(1), prefix="mine")
    assert home() == tmp_path / "far" / "away"
    assert modes(tmp_path / "far") == {"folder ": 0o700, "file .tar": 0o600}


@pytest.mark.usefixtures("umask")
def test_a_module_is_not_written_through_a_link(tmp_path: Path) -> None:
    folder = tmp_path / "stubs" / "local"
    folder.mkdir(parents=True)
    (folder / "__init__.py").symlink_to(tmp_path / "theirs.py")
    with Index(auto_stubs=True, stub_dir=tmp_path / "stubs") as index:
        ref = index.publish_schema(Item)
        module = folder / f"{str(index.get_import_path(ref)).removeprefix('local.')}.py"
        module.symlink_to(tmp_path / "other.py")
        index.decode_schema(ref)
    assert not (tmp_path / "theirs.py").exists()
    assert not (tmp_path / "other.py").exists()
    assert not module.is_symlink()


def test_a_folder_that_is_opened_to_a_team_is_so_for_all_that_is_written_from_then_on(
    tmp_path: Path,
) -> None:
    store = LocalDiskStore(tmp_path / "root")
    store.write_samples(items(1), prefix="mine")
    store.root.chmod(0o750)
    store.write_samples(items(1), prefix="ours")
    assert modes(store.root / "mine") == {"folder ": 0o700, "file .tar": 0o600}
    assert modes(store.root / "ours") == {"folder ": 0o750, "file .tar": 0o640}
