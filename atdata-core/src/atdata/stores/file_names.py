"""Which names of shards are names of files that lie below a folder, on this system."""

from __future__ import annotations

import os
import re

LONGEST = 255
SPOOL = ".spool"

# Braces would be expanded when the path is read back as a pattern, and a backslash separates
# folders for some.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\{}]")
# Drives, streams, wildcards and quotes; and what is cut off from the end of a name.
_FORBIDDEN_ON_WINDOWS = re.compile(r'[<>:"|?*]|[. ]$')
# Devices go by these names in every folder, with any extension.
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *([.:].*)?",
    re.IGNORECASE | re.DOTALL,
)


def split_name(name: str, system: str = os.name) -> list[str] | None:
    """Return the folders and the file that a shard's name means; None if it cannot mean any."""
    parts = name.split("/")
    return parts if all(is_file_name(part, system) for part in parts) else None


def is_file_name(part: str, system: str = os.name) -> bool:
    """Return whether a file in a store may have a name, on a system named as in ``os.name``."""
    try:
        fits = 0 < len(part.encode()) <= LONGEST
    except UnicodeEncodeError:
        return False
    if not fits or _FORBIDDEN.search(part) or part in {".", "..", "~", SPOOL}:
        return False
    return system != "nt" or _is_name_on_windows(part)


def _is_name_on_windows(part: str) -> bool:
    # Case makes no difference there.
    return not (
        _FORBIDDEN_ON_WINDOWS.search(part) or _DEVICE.fullmatch(part) or part.lower() == SPOOL
    )
