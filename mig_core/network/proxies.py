"""Which proxy the environment names for an address: by the rules of the standard library's ``urllib.request``.

Written anew because that module costs 5 MB of memory and reads the process's environment only; a test holds both to the
same answers. Beyond them, ``all_proxy`` counts where a scheme has no proxy of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUFFIX = "_proxy"


def environment_proxy(url: str, environment: Mapping[str, str]) -> str:
    """The URL of the proxy for ``url``; empty: none.

    Args:
        url: with scheme and host; a bad one has no proxy.
        environment: like ``os.environ``.
    """
    proxies, parts = _named(environment), urlsplit(url)
    proxy = proxies.get(parts.scheme.lower(), "") or proxies.get("all", "")
    if not proxy or _exempt(parts.hostname or "", parts.port, proxies.get("no", "")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _exempt(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether ``no_proxy`` lists the host, with or without its port, or a domain that it belongs to, or everything."""
    if no_proxy == "*":
        return True
    names = {host, f"[{host}]"} if ":" in host else {host}  # version 6 is written either way
    names |= {f"{name}:{port}" for name in names}
    listed = [entry.strip().lstrip(".").lower() for entry in no_proxy.split(",")]
    return any(name == entry or name.endswith(f".{entry}") for entry in listed if entry for name in names)


def _named(environment: Mapping[str, str]) -> dict[str, str]:
    """Scheme -> proxy, as ``urllib.request.getproxies_environment`` reads them."""
    proxies: dict[str, str] = {}
    for small in (False, True):
        for name, value in environment.items():
            key = name.lower()
            if not key.endswith(_SUFFIX) or (name == key) is not small:
                continue
            if key == "http_proxy" and not small and "REQUEST_METHOD" in environment:
                continue  # a CGI program: HTTP_PROXY is what the client sent as header "Proxy"
            scheme = key.removesuffix(_SUFFIX)
            if value:
                proxies[scheme] = value
            elif small:
                proxies.pop(scheme, None)
    return proxies
