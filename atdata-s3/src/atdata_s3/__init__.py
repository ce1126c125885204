"""Data store and data source on S3 and what speaks like it, imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atdata.hookspecs import hookimpl

if TYPE_CHECKING:
    from atdata.hookspecs import Register


@hookimpl
def register_data_stores(register: Register) -> None:
    """Register the store that keeps shards in a bucket."""
    register("s3", "atdata_s3.store:S3DataStore")


@hookimpl
def register_data_sources(register: Register) -> None:
    """Register the source of ``s3:`` URLs."""
    register("s3", "atdata_s3.source:S3Source")
