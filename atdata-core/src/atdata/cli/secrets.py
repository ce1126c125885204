"""Secrets of the environment and of addresses, kept out of what is printed for others to read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

_STARS = "***"
_SECRET_VARIABLE = re.compile("secret|passw|token|credential|key", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/@\s]*?:([^/\s]+)@|\bpassword\s*=\s*('[^']*'|[^\s&]+)", re.IGNORECASE)
# Shorter ones would blot out what is no secret.
_SHORTEST = 4


class Hiding:
    """Puts stars for each secret, whatever text it got into.

    Errors of ours hold none; those of drivers and of plugins may.
    """

    def __init__(self, addresses: Iterable[str]) -> None:
        named = [os.environ[name] for name in os.environ if _SECRET_VARIABLE.search(name)]
        texts = [*os.environ.values(), *addresses]
        found = [group for text in texts for match in _PASSWORD.findall(text) for group in match]
        secrets = {one.strip("'") for one in (*named, *found)}
        # A secret may hold another one.
        longest_first = sorted((one for one in secrets if len(one) >= _SHORTEST), key=len)[::-1]
        self._secret = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, value: Any) -> Any:
        """Return a text, or what dicts and lists hold of texts, without them."""
        if isinstance(value, str):
            return self._secret.sub(_STARS, value)
        if isinstance(value, dict):
            return {name: self(inner) for name, inner in value.items()}
        return [self(inner) for inner in value] if isinstance(value, list) else value
