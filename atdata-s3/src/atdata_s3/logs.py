"""Keeps session tokens and signatures out of what the SDK logs about its requests."""

from __future__ import annotations

import logging
import re

_SECRET = re.compile(
    r"""(x-amz-security-token['"]?[:=]\ ?b?['"]?|signature[:=]\s*)[^\s'",}&]+""",
    re.IGNORECASE | re.VERBOSE,
)
# The answer to a refused request repeats the request, also in hexadecimal digits; and the answer
# of a service that gives out keys is made of them.
_BODY = re.compile(
    r"(Response body:\s).*((?<!continuation)token|secret|signature).*", re.IGNORECASE | re.DOTALL
)
# These spell out the headers that they sign and send, and what they are answered.
_LOGGERS = "botocore.auth", "botocore.endpoint", "botocore.parsers"


class _Redaction(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        shown = _SECRET.sub(r"\1***", _BODY.sub(r"\1***", record.getMessage()))
        record.msg, record.args = shown, None
        return True


_redaction = _Redaction()


def redact_logs() -> None:
    """Let the SDK's loggers leave secrets out; a second call changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_redaction)
