"""Documented names that plugins provide say which plugin to install."""

from __future__ import annotations

import pytest

import atdata
from atdata import atmosphere, promote, stores
from atdata.errors import PluginNotFoundError


@pytest.mark.parametrize(
    ("module", "name", "distribution"),
    [
        (atmosphere, "AtmosphereClient", "atdata-atmosphere"),
        (promote, "promote_to_atmosphere", "atdata-atmosphere"),
        (atdata, "PDSBlobStore", "atdata-atmosphere"),
        (atdata, "BlobSource", "atdata-atmosphere"),
        (atdata, "S3Source", "atdata-s3"),
        (atdata, "S3DataStore", "atdata-s3"),
        (stores, "S3DataStore", "atdata-s3"),
    ],
)
def test_the_missing_plugin_is_named(module: object, name: str, distribution: str) -> None:
    with pytest.raises(PluginNotFoundError, match=f"pip install {distribution}"):
        getattr(module, name)


@pytest.mark.parametrize("module", [atmosphere, promote, atdata, stores])
def test_other_names_are_plain_attribute_errors(module: object) -> None:
    with pytest.raises(AttributeError):
        getattr(module, "__nothing__")  # noqa: B009 -- a constant name, but not one that exists


def test_an_s3_url_without_a_plugin_names_it() -> None:
    with pytest.raises(PluginNotFoundError, match="pip install atdata-s3"):
        atdata.Dataset("s3://bucket/data.tar")
