"""The example plugin, installed like a stranger's, whole and broken on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.examples.strangers import EXAMPLE, Installed, install


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(EXAMPLE, tmp_path_factory.mktemp("example"))


@pytest.fixture
def broken(example: Installed, tmp_path: Path) -> Installed:
    return example.copy(tmp_path)


def test_it_passes_the_kits_it_adopts(example: Installed) -> None:
    done = example.test()
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_doctor_finds_it_sound(example: Installed) -> None:
    report = example.diagnose("fsspec")
    assert set(report) == {
        *("entry point", "version"),
        *("data store 'fsspec'", "data source 'fsspec'"),
    }
    assert not any(row["problem"] for row in report.values())


STORE, SOURCE = "data store 'fsspec'", "data source 'fsspec'"
INIT, METADATA = "atdata_fsspec/__init__.py", "*.dist-info/METADATA"
FAULTS = {
    "a dependency that is not installed": (
        *("atdata_fsspec/files.py", "import fsspec", "import fsspec_is_missing"),
        *({STORE, SOURCE}, "ModuleNotFoundError: No module named 'fsspec_is_missing'"),
    ),
    "an import string with a wrong attribute": (
        *(INIT, "store:FsspecStore", "store:FsspecStor"),
        *({STORE}, "has no attribute 'FsspecStor'"),
    ),
    "an import string with a wrong module": (
        *(INIT, "atdata_fsspec.store:", "atdata_fsspec.stores:"),
        *({STORE}, "No module named 'atdata_fsspec.stores'"),
    ),
    "an import string that is none": (
        *(INIT, "atdata_fsspec.store:FsspecStore", "atdata_fsspec.store.FsspecStore"),
        *({"entry point"}, "is 'module:attribute', not 'atdata_fsspec.store.FsspecStore'"),
    ),
    "an entry point to a module that is not there": (
        *("*.dist-info/entry_points.txt", "= atdata_fsspec", "= atdata_fsspecs"),
        *({"entry point"}, "No module named 'atdata_fsspecs'"),
    ),
    "a hook that is not marked": (
        *(INIT, "@hookimpl", ""),
        *({"entry point"}, "mark its functions with atdata.hookimpl"),
    ),
    "a hook that does not exist": (
        *(INIT, "register_data_sources", "register_data_source"),
        *({"entry point"}, "register_data_source"),
    ),
    "a hook without its argument": (
        *(INIT, "register: Register", "registry: Register"),
        *({"entry point"}, "registry"),
    ),
    "a class that left a method out": (
        *("atdata_fsspec/store.py", "def delete", "def remove_shard"),
        *({STORE}, "atdata_fsspec.store:FsspecStore is no data store: it lacks delete"),
    ),
    "a target of another kind": (
        *(INIT, "source:FsspecSource", "files:SCHEME"),
        *({SOURCE}, "is no data source: it lacks from_urls, open_shard, list_shards or shard_list"),
    ),
    "a source that cannot be made of URLs": (
        *("atdata_fsspec/source.py", "def from_urls", "def of_urls"),
        *({SOURCE}, "is no data source: it lacks from_urls"),
    ),
    "a core of another version": (
        *(METADATA, "atdata-core~=0.8", "atdata-core~=0.1"),
        *({"version"}, "it is made for atdata-core 0.1, and "),
    ),
}


@pytest.mark.parametrize(("file", "old", "new", "subjects", "problem"), FAULTS.values(), ids=FAULTS)
def test_the_doctor_names_what_is_broken(
    broken: Installed, file: str, old: str, new: str, subjects: set[str], problem: str
) -> None:
    broken.edit(file, old, new)
    report = broken.diagnose("fsspec")
    assert {subject for subject, row in report.items() if row["problem"]} == subjects
    for subject in subjects:
        assert problem in report[subject]["problem"]
        assert "0.1.0" in report[subject]["distribution"]


def test_the_doctor_names_both_who_claim_a_name(broken: Installed) -> None:
    twin = broken.site / "twin-2.0.dist-info"
    twin.mkdir()
    (twin / "METADATA").write_text("Metadata-Version: 2.1\nName: twin\nVersion: 2.0\n")
    (twin / "entry_points.txt").write_text("[atdata]\nfsspec = twin")
    hooks = (broken.site / "atdata_fsspec" / "__init__.py").read_text("utf-8")
    (broken.site / "twin.py").write_text(hooks.replace('"atdata_fsspec.', '"twin.'), "utf-8")
    problem = broken.diagnose("fsspec")[STORE]["problem"]
    assert "is claimed by" in problem
    assert "atdata-fsspec 0.1.0" in problem
    assert "twin 2.0" in problem
