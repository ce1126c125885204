"""Shards on any fsspec filesystem; registered here, imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atdata import hookimpl

if TYPE_CHECKING:
    from atdata.hookspecs import Register


@hookimpl
def register_data_stores(register: Register) -> None:
    """Register the store by its name."""
    register("fsspec", "atdata_fsspec.store:FsspecStore")


@hookimpl
def register_data_sources(register: Register) -> None:
    """Register the source by the scheme of its URLs."""
    register("fsspec", "atdata_fsspec.source:FsspecSource")
