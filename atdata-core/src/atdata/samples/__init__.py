"""What one sample is: its type, its fields, its bytes and its schema."""

from __future__ import annotations

from atdata.samples.dictsample import DictSample
from atdata.samples.packable import PackableSample, packable
from atdata.samples.schema import Schema

__all__ = ["DictSample", "PackableSample", "Schema", "packable"]
