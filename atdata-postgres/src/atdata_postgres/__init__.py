"""Index provider that keeps records in PostgreSQL."""

from __future__ import annotations
