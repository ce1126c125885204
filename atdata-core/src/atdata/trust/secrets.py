"""What of a URL only some should know: one list, for what is stored, shown and published."""

from __future__ import annotations

import re
from urllib.parse import unquote

# Of what is shown, so many characters.
LONGEST_SHOWN = 1000

_STARS = "***"
_HIDDEN = re.compile(r"[?#]")
_SEPARATOR = re.compile(r"[?#&;]")
# Names of parameters that give access, as servers and those who sign URLs spell them.
_SECRET_NAME = re.compile(
    r"sig|token|secret|passw|passphrase|pwd|credential|key|auth|jwt|session|cookie|bearer|policy"
    r"|expires|hmac|ticket|\Ax-(?:amz|goog|ms)-|\A(?:code|otp|pass|pin|sas)\Z",
    re.IGNORECASE,
)


def redacted(url: str) -> str:
    """Return what may be shown of a URL: no user, password, query or fragment, and no great length.

    A path is shown as it is. The time it takes grows with the length alone.
    """
    first, *rests = url.split("://")
    shown = [first]
    for rest in rests:
        text = _without_login(rest)
        hidden = _HIDDEN.search(text)
        shown.append(text if hidden is None else f"{text[: hidden.end()]}{_STARS}")
        if hidden is not None:
            break
    return bounded("://".join(shown))


def _without_login(rest: str) -> str:
    authority, slash, path = rest.partition("/")
    login, at, host = authority.rpartition("@")
    if not at:
        return rest
    # Whether that is a password with a question mark in it or a query with "@", nobody can tell.
    return f"{_STARS}?" if _HIDDEN.search(login) else f"{_STARS}@{host}{slash}{path}"


def has_secret(url: str) -> bool:
    """Tell whether a URL holds what only some should know: a password, a key or a signature."""
    return bool(secrets_in(url))


def secrets_in(url: str) -> list[str]:
    """Return what is secret in a URL: the names of such parameters, and "user" for a login.

    Parameters are looked for in query and fragment alike. A path holds none.
    """
    _, scheme, rest = url.partition("://")
    if not scheme:
        return []
    # Some passwords hold a "?", so what is before a "@" counts up to the first slash.
    found = ["user"] if "@" in rest.partition("/")[0] else []
    _, *parameters = _SEPARATOR.split(rest)
    names = (unquote(one.partition("=")[0]) for one in parameters)
    return found + [name for name in names if is_secret_name(name)]


def is_secret_name(name: str) -> bool:
    """Tell whether a parameter of that name gives access, or says who has it."""
    return _SECRET_NAME.search(name) is not None


def bounded(text: str) -> str:
    """Return the start of a text, so that a long one does not fill the screen."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
