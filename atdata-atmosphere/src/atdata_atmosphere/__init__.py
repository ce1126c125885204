"""Publishing and loading datasets on the AT Protocol network."""

from __future__ import annotations
