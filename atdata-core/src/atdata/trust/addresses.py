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
_NAT64 = IPv6Network("64:ff9b::/96")
REMEDY = "pass allow_private=True if this server is meant"


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
    _check_literal(url, host, allow_private=allow_private)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def _check_literal(url: str, host: str, *, allow_private: bool) -> None:
    if allow_private:
        return
    name = host.rstrip(".").lower()
    try:
        is_private = not is_public(name)
    except ValueError:
        is_private = "." not in name or name.endswith(_PRIVATE_NAMES)
    if is_private:
        raise _refused(url, f"{host} is not a public address; {REMEDY}")


def _refused(url: str, reason: str) -> UntrustedInputError:
    # A user and password in the URL are nobody else's business.
    shown = url.rpartition("@")[2] if "@" in url else url
    return UntrustedInputError(f"the server {shown[:200]!r} is not asked: {reason}", url=shown)
