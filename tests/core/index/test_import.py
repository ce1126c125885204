"""What ``import atdata`` costs, and what its names are."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.peak_memory import without_coverage

import atdata

HEAVY = [
    *["webdataset", "sqlalchemy", "fsspec", "pluggy", "multiformats", "dag_cbor", "torch"],
    *["importlib_metadata", "importlib.metadata", "pyarrow", "pandas", "typer", "rich"],
    *["boto3", "atproto", "redis", "psycopg", "httpx"],
    *["atdata_sqlite", "atdata_redis", "atdata_postgres", "atdata_s3", "atdata_atmosphere"],
]

# What only some processes need, which is therefore imported when it is used.
LATE = [
    *["atdata.dataset", "atdata.shards", "atdata.stores", "atdata.index", "atdata.trust"],
    *["atdata.plugins", "atdata.protocols", "atdata.cli", "atdata.testing", "atdata.hookspecs"],
]
LATER = ["atdata.plugins.doctor", "atdata.index.copying", "atdata.index.stubs", "atdata.cli"]


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has after some code."""
    program = f"import sys, numpy\n{code}\nprint(*sys.modules)"
    command, env = [sys.executable, "-c", program], without_coverage()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return {*done.stdout.split()}


def test_importing_atdata_imports_what_defines_samples_and_lenses_and_nothing_else() -> None:
    found = loaded_by("import atdata")
    assert set(HEAVY) & found == set()
    assert set(LATE) & found == set()
    assert {"json", "hashlib", "tempfile", "urllib.parse", "ipaddress"} & found == set()


def test_opening_an_index_and_reading_import_no_module_for_other_work() -> None:
    found = loaded_by("import atdata\natdata.Index(provider='memory')\natdata.Dataset('a.tar')")
    assert {*LATER, "webdataset", "pyarrow", "pandas", "torch"} & found == set()


def test_a_module_is_there_by_its_name_alone() -> None:
    code = "import atdata\natdata.plugins.names('data store')\natdata.index.Key\natdata.lens"
    assert "atdata.plugins" in loaded_by(code)


def test_the_decorator_stays_the_one_called_lens_whatever_is_imported() -> None:
    assert atdata.lens is __import__("atdata.lens").lens
    loaded_by("import atdata.dataset, atdata.lens\nassert callable(atdata.lens)")


def test_all_names_are_listed_before_they_are_used() -> None:
    assert {*atdata.__all__, "index", "plugins"} <= {*dir(atdata)}
    assert atdata.LocalIndex is atdata.Index


def test_every_public_name_is_there() -> None:
    for name in atdata.__all__:
        assert getattr(atdata, name) is not None
    with pytest.raises(AttributeError, match="Unheard"):
        atdata.Unheard  # noqa: B018
