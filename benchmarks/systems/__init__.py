"""The systems that are compared, one module each, imported only in the process that measures it."""

from __future__ import annotations

from importlib import import_module

from benchmarks.systems.system import Reader, System

# In the order of the tables; what comes after the peers reads the shards of those before it.
MODULES = {
    "atdata": "atdata",
    "webdataset": "webdataset",
    "litdata": "litdata",
    "MosaicML streaming": "mosaicml",
    "HF datasets": "huggingface",
    "Lance": "lance",
    "Lance, own arrays": "lance_owned",
    "foreign": "foreign",
    "limit": "limit",
}
PEERS = ("webdataset", "litdata", "MosaicML streaming", "HF datasets", "Lance")
# These only read what others wrote, which is measured on the first workload.
READERS = ("Lance, own arrays", "foreign")
GUESTS = (*READERS, "limit")

__all__ = ["GUESTS", "MODULES", "PEERS", "READERS", "Reader", "System", "load"]


def load(name: str) -> System:
    """Import a system; ``ImportError`` if it is not installed."""
    system: System = import_module(f"benchmarks.systems.{MODULES[name]}").SYSTEM
    return system
