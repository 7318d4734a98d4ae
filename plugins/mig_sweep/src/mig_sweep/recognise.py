"""What a bare value is: a line of a list, a cell of a table."""

from __future__ import annotations

import ipaddress
import re

from mig_sweep.indicator import Kind, Term

_MAPPED = 96
"""Bits before an IPv4 address in IPv6 (``::ffff:192.0.2.1``)."""
_HASH = re.compile(r"[0-9a-fA-F]+")
_DIGITS = (32, 40, 64, 96, 128)
_SIZED = re.compile(r"([0-9a-fA-F]{32,128}):(\d{1,13})")
_SSH = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_SSH_MD5 = re.compile(r"(?:MD5:)?((?:[0-9a-f]{2}:){15}[0-9a-f]{2})", re.IGNORECASE)
_PACKAGE = re.compile(r"(@?[A-Za-z0-9][\w./-]*(?:/[\w.-]+)?)(?:@|==)(v?\d[\w.+!~-]*)")
_PURL = re.compile(r"pkg:/*([a-z0-9.+-]+)/((?:@[^@?#/]+/)?[^@?#]+)(?:@([^?#]+))?(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)+([a-z][a-z0-9-]{{1,62}})", re.IGNORECASE)
_FILE = re.compile(r"[^/\\\s]+\.([A-Za-z0-9]{1,8})")
_WINDOWS = re.compile(r"(?:[A-Za-z]:|\\)\\|%[A-Za-z]+%\\")
_URL = re.compile(r"(?:https?|ftp|tcp|udp|wss?|stratum\+tcp)://\S+", re.IGNORECASE)
_ENDINGS = frozenset(
    {
        *("exe", "dll", "so", "sh", "py", "php", "phtml", "jsp", "jspx", "asp", "aspx", "war", "jar", "js", "pl", "rb"),
        *(
            "elf",
            "bin",
            "ko",
            "service",
            "timer",
            "conf",
            "cron",
            "zip",
            "tar",
            "gz",
            "tgz",
            "deb",
            "rpm",
            "apk",
            "doc",
        ),
        *("docx", "xls", "xlsx", "pdf", "txt", "log", "tmp", "dat", "key", "pem", "ps1", "bat", "vbs", "lnk", "iso"),
        *("img", "dump"),
    }
)
"""What files are called; some are top-level domains too, and then both are looked for."""
_ALSO_DOMAINS = frozenset({"sh", "py", "zip", "pl", "rs", "md", "so", "ps"})
ECOSYSTEMS = {
    "pypi": "python",
    "npm": "npm",
    "gem": "gem",
    "rubygems": "gem",
    "golang": "go",
    "go": "go",
    "kubernetes": "go",
    "cargo": "cargo",
    "crates.io": "cargo",
    "maven": "jar",
    "deb": "dpkg",
    "debian": "dpkg",
    "ubuntu": "dpkg",
    "echo": "dpkg",
    "rpm": "rpm",
    "red hat": "rpm",
    "rocky linux": "rpm",
    "almalinux": "rpm",
    "suse": "rpm",
    "opensuse": "rpm",
    "openeuler": "rpm",
    "mageia": "rpm",
    "photon os": "rpm",
    "azure linux": "rpm",
    "alpine": "apk",
    "alpaquita": "apk",
    "wolfi": "apk",
    "chainguard": "apk",
    "minimos": "apk",
    "apk": "apk",
    "alpm": "pacman",
    "conda": "conda",
    "bellsoft": "apk",
}
"""What advisories call an ecosystem -> the type that ``pkg`` has for it."""


def refanged(text: str) -> str:
    """A value as it was before somebody made it harmless for readers: ``hxxp://bad[.]example``."""
    text = text.strip().strip("\"'`").strip()
    for written, meant in (("[.]", "."), ("(.)", "."), ("[dot]", "."), ("[:]", ":"), ("[@]", "@"), ("[://]", "://")):
        text = text.replace(written, meant)
    return re.sub(r"^h[xX]{2}p", "http", text, flags=re.IGNORECASE)


def recognise(text: str) -> list[tuple[Term, ...]]:
    """What a value may be: each a set of terms that belong together. Empty if nothing that is known."""
    value = refanged(text)
    for attempt in (_as_hash, _as_key, _as_address, _as_url, _as_path, _as_package):
        if found := attempt(value):
            return [found]
    return _as_name(value)


def _as_hash(value: str) -> tuple[Term, ...]:
    if sized := _SIZED.fullmatch(value):
        digits, size = sized.groups()
        return (Term(Kind.HASH, digits.lower()), Term(Kind.SIZE, size)) if len(digits) in _DIGITS else ()
    if _HASH.fullmatch(value) and len(value) in _DIGITS:
        return (Term(Kind.HASH, value.lower()),)
    return ()


def _as_key(value: str) -> tuple[Term, ...]:
    if _SSH.fullmatch(value):
        return (Term(Kind.SSH_KEY, value.rstrip("=")),)
    if md5 := _SSH_MD5.fullmatch(value):
        return (Term(Kind.SSH_KEY, md5[1].lower()),)
    return ()


def _as_address(value: str) -> tuple[Term, ...]:
    if address := address_of(value):
        return (Term(Kind.ADDRESS, address),)
    host, colon, port = value.rpartition(":")
    if colon and port.isdigit() and int(port) < 1 << 16 and (address := address_of(host.strip("[]"))):
        return (Term(Kind.ADDRESS, address), Term(Kind.PORT, port))
    return ()


def address_of(value: str) -> str:
    """An address or a network in its usual form, of IPv4 where it is one inside IPv6; empty if it is none."""
    try:
        network: ipaddress.IPv4Network | ipaddress.IPv6Network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return ""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= _MAPPED:
        network = ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED))
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def _as_url(value: str) -> tuple[Term, ...]:
    return (Term(Kind.URL, value),) if _URL.fullmatch(value) else ()


def _as_path(value: str) -> tuple[Term, ...]:
    if value.startswith(("/", "~/")) and "\0" not in value and len(value) > 1:
        return (Term(Kind.PATH, value),)
    if _WINDOWS.match(value):
        return (Term(Kind.OTHER, value),)
    return ()


def _as_package(value: str) -> tuple[Term, ...]:
    if _PURL.fullmatch(value):
        return package_of_purl(value)
    if package := _PACKAGE.fullmatch(value):
        return (Term(Kind.PACKAGE, package[1]), Term(Kind.VERSION, package[2]))
    return ()


def package_of_purl(purl: str) -> tuple[Term, ...]:
    """The package that a package URL names; empty if it is none.

    rpm's epoch is a qualifier there, and a part of the version everywhere else; ``arch=source`` is a source package.
    """
    from urllib.parse import parse_qsl, unquote

    found = _PURL.match(purl)
    if found is None:
        return ()
    ecosystem, name, version = found[1].casefold(), unquote(found[2]).strip("/"), unquote(found[3] or "")
    if ecosystem in ("deb", "rpm", "apk", "alpm"):
        name = name.rpartition("/")[2]
    elif ecosystem == "maven":
        name = name.replace("/", ":")
    qualifiers = dict(parse_qsl((found[4] or "")[:2000]))
    epoch = qualifiers.get("epoch", "") if ecosystem == "rpm" else ""
    if version and epoch.isdecimal() and int(epoch[:10]) and ":" not in version:
        version = f"{epoch[:10]}:{version}"
    is_source = ecosystem in ("deb", "rpm", "apk") and qualifiers.get("arch") in ("source", "src")
    terms = [Term(Kind.SOURCE if is_source else Kind.PACKAGE, name)]
    if version:
        terms.append(Term(Kind.VERSION, version))
    if ecosystem in ECOSYSTEMS:
        terms.append(Term(Kind.ECOSYSTEM, ECOSYSTEMS[ecosystem]))
    return tuple(terms)


def _as_name(value: str) -> list[tuple[Term, ...]]:
    domain, file = _DOMAIN.fullmatch(value), _FILE.fullmatch(value)
    found: list[tuple[Term, ...]] = []
    ending = file[1].lower() if file else ""
    if ending in _ENDINGS:
        found.append((Term(Kind.FILE_NAME, value),))
    if domain and (not found or ending in _ALSO_DOMAINS):
        found.append((Term(Kind.DOMAIN, value.lower().removeprefix("*.")),))
    return found
