"""What asks for a plugin that is not there says which distribution provides it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import atdata
from atdata import atmosphere, promote, stores

ATTEMPT = """
import atdata
import atdata.local
try:
    {attempt}
except ImportError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("attempt", "distribution"),
    [
        ("atdata.Index(dsn='postgresql://h/d')", "atdata-postgres"),
        ("atdata.Index(host='h', port=1, db=2)", "atdata-redis"),
        ("atdata.Index(object())", "atdata-redis"),
        ("atdata.Index()", "atdata-sqlite"),
        ("atdata.S3DataStore", "atdata-s3"),
        ("atdata.S3Source", "atdata-s3"),
        ("atdata.stores.S3DataStore", "atdata-s3"),
        ("atdata.Dataset('s3://bucket/data.tar')", "atdata-s3"),
        ("atdata.PDSBlobStore", "atdata-atmosphere"),
        ("atdata.BlobSource", "atdata-atmosphere"),
        ("import atdata.promote; atdata.promote.promote_to_atmosphere", "atdata-atmosphere"),
        ("atdata.local.S3DataStore", "atdata-s3"),
        ("atdata.local.Repo(hive_path='bucket/prefix')", "atdata-s3"),
        ("atdata.load_dataset('@alice.example/mine')", "atdata-atmosphere"),
        ("atdata.load_dataset('at://did:plc:abc/x/y')", "atdata-atmosphere"),
        ("import atdata.atmosphere; atdata.atmosphere.AtmosphereClient", "atdata-atmosphere"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    run: Callable[..., str], attempt: str, distribution: str
) -> None:
    printed = run(ATTEMPT.format(attempt=attempt))
    assert printed.startswith("PluginNotFoundError ")
    assert f"pip install {distribution}" in printed


@pytest.mark.parametrize("module", [atmosphere, promote, atdata, stores])
def test_other_names_are_plain_attribute_errors(module: object) -> None:
    with pytest.raises(AttributeError):
        getattr(module, "__nothing__")  # noqa: B009 -- a constant name, but not one that exists
