"""What others wrote is not obeyed: which servers and URLs data may name, and what is secret."""

from __future__ import annotations

from atdata.trust.addresses import addresses_of, checked_origin, is_public
from atdata.trust.secrets import has_secret, is_secret_name, redacted, secrets_in

__all__ = [
    "addresses_of",
    "checked_origin",
    "has_secret",
    "is_public",
    "is_secret_name",
    "redacted",
    "secrets_in",
]
