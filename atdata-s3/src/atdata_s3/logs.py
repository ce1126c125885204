"""Keeps tokens, signatures and passwords out of what the SDK logs about its requests."""

from __future__ import annotations

import logging
import re

_SECRET = re.compile(
    r"""((?:x-amz-security-token|x-amz-sso_bearer_token|webidentitytoken)['"]?[:=]\ ?
    |signature[:=]\s*)(?:b?'[^']*'|b?"[^"]*"|[^\n'"&]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_PASSWORD = re.compile(r"(://)[^/?#@\s]+@")
# The answer to a refused request repeats the request, also in hexadecimal digits; and the answer
# of a service that gives out keys is made of them.
_BODY = re.compile(
    r"(Response body:\s).*((?<!continuation)token|secret|signature).*", re.IGNORECASE | re.DOTALL
)
# These spell out where they send what they sign, its headers, and what they are answered.
_LOGGERS = tuple(
    f"botocore.{name}" for name in ("auth", "endpoint", "httpsession", "parsers", "regions")
)


class _Redaction(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        shown = _SECRET.sub(r"\1***", _BODY.sub(r"\1***", record.getMessage()))
        record.msg, record.args = _PASSWORD.sub(r"\1***@", shown), None
        # A header that cannot be sent is quoted in the exception.
        record.exc_info = None
        return True


_redaction = _Redaction()


def redact_logs() -> None:
    """Let the SDK's loggers leave secrets out; a second call changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_redaction)
