"""Where a PostgreSQL server is, and connections to it that suit an index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo
from psycopg.types.string import TextLoader

from atdata.errors import InvalidNameError, StorageError

CONNECT_SECONDS = 10
LOCK_SECONDS = 30
# Shorter: who repeats a commit waits for the end of the attempt whose session was cut off.
IDLE_SECONDS = 20

# Somebody who froze or was cut off must not keep rows locked, nor a lock keep somebody for good.
# What the server, its owner or the user's options limit already stays as it is.
_LIMIT = """
    SELECT set_config(name, value, false)
    FROM (VALUES ('lock_timeout', %s),
                 ('idle_in_transaction_session_timeout', %s)) AS limits (name, value)
    WHERE current_setting(name) = '0'
"""
# A peer that vanished without a word is noticed within a minute, also while it owes an answer.
_DEFAULTS: dict[str, Any] = {
    "fallback_application_name": "atdata",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_SECRETS = ("password", "sslpassword")
_DRIVER = re.compile(r"^postgres(?:ql)?(?:\+psycopg[23]?)?://")

# Records are handed on as the text they are; parsed numbers would lose digits.
_ADAPTERS = AdaptersMap(psycopg.adapters)
_ADAPTERS.register_loader("json", TextLoader)
_ADAPTERS.register_loader("jsonb", TextLoader)


class Address:
    """What a DSN says, completed by the environment as libpq does it.

    Any form is taken that libpq takes, and ``postgresql+psycopg://``. ``InvalidNameError`` if it
    is none of them, which never repeats what was given.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        try:
            self._given = conninfo_to_dict(_DRIVER.sub("postgresql://", dsn))
        except psycopg.ProgrammingError:
            # libpq's own words quote what it stumbled over, which may be the password.
            raise _malformed() from None
        _check_parts(self._given)
        known = {**_environment(), **self._given}
        self._secrets = [str(known[name]) for name in _SECRETS if known.get(name)]
        self.location = _to_location(known)

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection; foreign errors are the caller's to translate."""
        connection = psycopg.connect(self._conninfo(), context=_ADAPTERS, prepare_threshold=None)
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: psycopg.Connection[Any]) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            message = f"the database {self.location} is encoded in {encoding}, which cannot hold"
            raise StorageError(f"{message} every name; create one with ENCODING 'UTF8'")
        # A setting made in a transaction would go with it.
        connection.autocommit = True
        connection.execute(_LIMIT, (f"{LOCK_SECONDS}s", f"{IDLE_SECONDS}s"))
        connection.autocommit = False

    def redact(self, text: str) -> str:
        """Return a message of the server or of libpq on one line and without any password."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())

    def to_safe_dsn(self) -> str:
        """Return the DSN with its password hidden."""
        hidden = {name: "***" for name in _SECRETS if self._given.get(name)}
        return make_conninfo("", **{**self._given, **hidden})

    def _conninfo(self) -> str:
        timeout = _environment().get("connect_timeout") or CONNECT_SECONDS
        ours = {**_DEFAULTS, "connect_timeout": timeout}
        return make_conninfo("", **{**ours, **self._given, "client_encoding": "UTF8"})


def _environment() -> dict[str, str]:
    """Return what libpq takes where a DSN is silent."""
    defaults = {one.keyword.decode(): one.val for one in Conninfo.get_defaults()}
    return {name: value.decode() for name, value in defaults.items() if value}


def _check_parts(given: Mapping[str, Any]) -> None:
    # A password with an unescaped @, / or : ends up in these, and would be quoted in errors.
    hosts = str(given.get("host") or "")
    ports = str(given.get("port") or "")
    if "@" in hosts or not re.fullmatch(r"[\d,]*", ports):
        raise _malformed()


def _malformed() -> InvalidNameError:
    message = "the PostgreSQL DSN cannot be understood; give postgresql://user@host:port/database"
    return InvalidNameError(f"{message}, with %40 for @, %2F for / and %3A for : in a password")


def _to_location(known: Mapping[str, Any]) -> str:
    host = known.get("host") or known.get("hostaddr") or ""
    user = known.get("user") or ""
    database = known.get("dbname") or user
    if known.get("service") and not host:
        return f"PostgreSQL service {known['service']}"
    place = f"{host}:{known.get('port') or 5432}" if host else "local socket"
    return f"{database} on PostgreSQL at {place}"
