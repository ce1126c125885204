"""What happens to tests whose server is not to be had here."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def is_required(service: str) -> bool:
    """Tell whether ``ATDATA_REQUIRE``, a list with commas, names a service."""
    return service in os.environ.get("ATDATA_REQUIRE", "").split(",")


def unavailable(service: str, remedy: str) -> NoReturn:
    """Skip the test and say what would run it; fail it where the service is required."""
    if is_required(service):
        pytest.fail(remedy, pytrace=False)
    pytest.skip(remedy)
