"""What others wrote is not obeyed: which servers and URLs data may name, and what is secret."""

from __future__ import annotations

from atdata.trust.addresses import addresses_of, checked_origin, is_public
from atdata.trust.policy import Owner, Policy, Way, Writer, check_allowed, is_allowed, to_web
from atdata.trust.secrets import has_secret, redacted

__all__ = [
    "Owner",
    "Policy",
    "Way",
    "Writer",
    "addresses_of",
    "check_allowed",
    "checked_origin",
    "has_secret",
    "is_allowed",
    "is_public",
    "redacted",
    "to_web",
]
