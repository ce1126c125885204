"""Index provider that keeps records in PostgreSQL; registered here, imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atdata.hookspecs import hookimpl

if TYPE_CHECKING:
    from atdata.hookspecs import Register


@hookimpl
def register_index_providers(register: Register) -> None:
    """Register the provider that keeps records in a PostgreSQL database."""
    register("postgres", "atdata_postgres.provider:PostgresProvider")
