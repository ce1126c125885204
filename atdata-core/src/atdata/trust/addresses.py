"""Which servers may be asked at all: public ones over https, unless the caller allows others."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from atdata.errors import UntrustedInputError

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?")
# What has been given out of IPv6, and what of it is for documents.
_GLOBAL = IPv6Network("2000::/3")
_DOCUMENTATION = IPv6Network("3fff::/20")
_PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".corp", ".home", ".home.arpa")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NAT64 = IPv6Network("64:ff9b::/96")
REMEDY = "pass allow_private=True, or allow= for what a dataset names, if this server is meant"


def is_public(address: str) -> bool:
    """Tell whether an IP address, also one wrapped in IPv6, is reachable for everyone."""
    ip = _unwrapped(ip_address(address.partition("%")[0]))
    if isinstance(ip, IPv6Address) and (ip not in _GLOBAL or ip in _DOCUMENTATION):
        return False
    return ip.is_global and not ip.is_multicast


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    teredo = ip.teredo[1] if ip.teredo else None
    return ip.ipv4_mapped or ip.sixtofour or teredo or ip


def addresses_of(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Look up the addresses of a host; connect to these only, for the next look-up may differ.

    Raises:
        UntrustedInputError: one of them is not public.
        OSError: the host is unknown.
    """
    # 3 ms, and no local file needs it.
    import socket

    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not allow_private and not is_public(address):
            message = f"{host[:100]} is {address}, which is not a public address; {REMEDY}"
            raise UntrustedInputError(message, host=host, address=address)
    return addresses


def checked_origin(url: str, *, allow_private: bool) -> str:
    """Return the origin of a server's URL, which must have no path, query or user of its own.

    Raises UntrustedInputError. The address behind a host name is checked when it is connected to.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError as error:
        raise _refused(url, "it is malformed") from error
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise _refused(url, f"only https is asked; {REMEDY}")
    if "@" in parts.netloc or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise _refused(url, "it is more than a host and a port")
    host = parts.hostname or ""
    if ":" not in host and _HOST.fullmatch(host) is None:
        raise _refused(url, "it names no host")
    if not allow_private and not _may_be_public(host):
        raise _refused(url, f"{host} is not a public address; {REMEDY}")
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def check_host(authority: str) -> None:
    """Raise ``UntrustedInputError`` unless what a URL names as its server may be a public one.

    That is a host, maybe with a port, and no escape in it; ``reason`` of the error says what else
    it is. Whom a name leads to is checked when it is connected to.
    """
    try:
        parts = urlsplit(f"//{authority}")
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if "@" in authority:
        reason = "it has a user or password in it"
    elif ":" not in host and _HOST.fullmatch(host) is None:
        reason = "it does not name a host"
    elif not _may_be_public(host):
        reason = f"{host[:100]} is not a public address"
    else:
        return
    raise UntrustedInputError(f"the server is not asked: {reason}", reason=reason)


def _may_be_public(host: str) -> bool:
    """Tell whether a host is a public address, or a name that may lead to one."""
    name = host.rstrip(".").lower()
    try:
        return is_public(name)
    except ValueError:
        # Systems take other numbers for addresses too: 127.1, 0x7f.1, 2130706433.
        is_number = _NUMBER.fullmatch(name.rpartition(".")[2]) is not None
        return "." in name and not is_number and not name.endswith(_PRIVATE_NAMES)


def _refused(url: str, reason: str) -> UntrustedInputError:
    # A user and password in the URL are nobody else's business.
    shown = url.rpartition("@")[2] if "@" in url else url
    return UntrustedInputError(f"the server {shown[:200]!r} is not asked: {reason}", url=shown)
