"""The proxy that the environment names for a server, if any."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, getproxies_environment, proxy_bypass

from atdata.dataset.web.address import Address, basic_login
from atdata.errors import StorageError


@dataclass(frozen=True)
class Proxy:
    """Where a proxy is, and the header that it wants to see."""

    url: str
    login: str | None = field(default=None, repr=False)


def proxy_for(address: Address) -> Proxy | None:
    """Return the proxy between us and a server, as ``HTTPS_PROXY`` and ``NO_PROXY`` have it.

    ``HTTP_PROXY`` and ``ALL_PROXY`` count too, lower case before upper, as do the settings of
    macOS and Windows. ``NO_PROXY`` lists hosts, domains, and networks like ``10.0.0.0/8``.

    Raises:
        StorageError: it is neither an HTTP nor an HTTPS proxy.
    """
    known = getproxies()
    url = known.get(address.scheme) or known.get("all")
    if not url or _is_direct(address):
        return None
    return _proxy(url if "://" in url else f"http://{url}")


def _is_direct(address: Address) -> bool:
    return bool(proxy_bypass(address.server) or proxy_bypass(address.host)) or _in_no_proxy(
        address.host
    )


def _in_no_proxy(host: str) -> bool:
    try:
        ip = ip_address(host)
    except ValueError:
        return False
    listed = getproxies_environment().get("no", "").split(",")
    return any(_is_in(ip, part.strip()) for part in listed)


def _is_in(ip: IPv4Address | IPv6Address, network: str) -> bool:
    try:
        return ip in ip_network(network, strict=False)
    except ValueError:
        return False


def _proxy(url: str) -> Proxy:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        if parts.hostname is None or parts.scheme not in {"http", "https"}:
            raise ValueError(url)
    except ValueError:
        raise StorageError(
            "the environment names a proxy that is neither http: nor https:; correct HTTP_PROXY, "
            "HTTPS_PROXY or ALL_PROXY, or list the server in NO_PROXY"
        ) from None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Proxy(f"{parts.scheme}://{host}{port}", basic_login(parts))
