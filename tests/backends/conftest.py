"""The servers of the backends' tests."""

from __future__ import annotations

from tests.services.s3_server import moto_server, s3_server

__all__ = ["moto_server", "s3_server"]
