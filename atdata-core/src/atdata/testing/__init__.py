"""Checks that authors of lenses and backends run in the tests of their own code."""

from __future__ import annotations

from atdata.testing.lenses import check_lens_laws

__all__ = ["check_lens_laws"]
