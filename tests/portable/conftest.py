"""Settings of the tests of other systems."""

from __future__ import annotations

# It is imported when an interpreter starts, not by tests.
collect_ignore = ["taken"]
