"""Index provider that keeps records in Redis or Valkey."""

from __future__ import annotations
