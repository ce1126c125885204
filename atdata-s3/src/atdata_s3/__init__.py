"""Data store and data source on S3 and what speaks like it."""

from __future__ import annotations
