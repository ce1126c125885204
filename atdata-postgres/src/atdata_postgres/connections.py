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
        given = _parse(dsn)
        if given is None:
            message = "the PostgreSQL DSN cannot be understood"
            form = "postgresql://user@host:port/database"
            escapes = "%40 for @, %2F for / and %3A for :"
            raise InvalidNameError(f"{message}; give {form}, with {escapes} in a password")
        self._given = given
        known = {**_environment(), **self._given}
        self._secrets = [str(known[name]) for name in _SECRETS if known.get(name)]
        self.location = _to_location(known)

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection; foreign errors are the caller's to translate."""
        connection = self._connect()
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(self._conninfo(), context=_ADAPTERS, prepare_threshold=None)
        except psycopg.Error as error:
            # What it carries, and the frames it went through, hold the password.
            failure = type(error)(*error.args)
        except UnicodeError:
            # Of the client's own search for the host.
            failure = psycopg.OperationalError("no host can have such a name")
        raise failure

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
        """Return the first line of what libpq or a server says, without any password."""
        line = " ".join(text.strip().partition("\n")[0].split())
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line

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


def _parse(dsn: str) -> dict[str, Any] | None:
    """Return the parts of a DSN; None if it is none, as libpq's own words quote the password."""
    url = _DRIVER.match(dsn)
    try:
        given = conninfo_to_dict(_DRIVER.sub("postgresql://", dsn))
    except (psycopg.ProgrammingError, UnicodeEncodeError):
        return None
    # A password with an unescaped @, / or : ends up in these, and would be quoted in errors.
    path = dsn[url.end() :].partition("/")[2].partition("?")[0] if url else ""
    hosts, ports = (str(given.get(name) or "") for name in ("host", "port"))
    is_whole = "@" not in hosts + path and re.fullmatch(r"[\d,]*", ports)
    return given if is_whole else None


def _to_location(known: Mapping[str, Any]) -> str:
    host = known.get("host") or known.get("hostaddr") or ""
    user = known.get("user") or ""
    database = known.get("dbname") or user
    if known.get("service") and not host:
        return f"PostgreSQL service {known['service']}"
    place = f"{host}:{known.get('port') or 5432}" if host else "local socket"
    return f"{database} on PostgreSQL at {place}"
