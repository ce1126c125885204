"""Whether containers can be started here."""

from __future__ import annotations

import gc
import importlib
import warnings
from functools import cache
from importlib.util import find_spec
from typing import Any


@cache
def runs_docker() -> bool:
    """Tell whether testcontainers is installed and an engine answers."""
    if find_spec("testcontainers") is None:
        return False
    docker: Any = importlib.import_module("docker")
    with warnings.catch_warnings():
        # Where none answers, its client leaves a socket open, for which some test would be blamed.
        warnings.simplefilter("ignore", ResourceWarning)
        is_running = _answers(docker)
        gc.collect()
    return is_running


def _answers(docker: Any) -> bool:
    try:
        docker.from_env().ping()
    except docker.errors.DockerException:
        return False
    return True
