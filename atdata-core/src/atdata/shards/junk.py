"""Members that other tools leave in archives unasked: passed over, and counted.

The list is short on purpose: whatever else is not a sample is an error, so that none is lost.
"""

from __future__ import annotations

from atdata.shards import tar

# What macOS stores of a file beside it, as in ``._000.msgpack``.
_APPLE_DOUBLE = b"._"
# In lower case.
_NAMES = frozenset({b".ds_store", b"thumbs.db", b"desktop.ini"})
_ABOUT = frozenset({b"readme", b"license", b"licence"})
_TEXTS = frozenset({b"", b"md", b"txt", b"rst"})

JUNK_KINDS = frozenset({tar.DIRECTORY, tar.VOLUME_LABEL})


def is_junk(name: bytes) -> bool:
    """Whether a file of that name, with its folders, is what other tools leave unasked."""
    base = name.rpartition(b"/")[2].lower()
    stem, _, extension = base.partition(b".")
    is_about = stem in _ABOUT and extension in _TEXTS
    return is_about or base in _NAMES or base.startswith(_APPLE_DOUBLE)
