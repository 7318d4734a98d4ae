"""Real certificates for tests of TLS, made with the ``openssl`` program."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_CONFIGURATION = "[req]\ndistinguished_name = subject\nprompt = no\n[subject]\nCN = unused\n"
"""Instead of the system's openssl.cnf, which adds extensions of its own."""
AUTHORITY_EXTENSIONS = (
    "basicConstraints=critical,CA:true",
    "keyUsage=critical,keyCertSign,cRLSign",
    "subjectKeyIdentifier=hash",
)
"""What RFC 5280 asks of an authority's certificate."""
EXTENSIONS = (
    "basicConstraints=critical,CA:false",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth,clientAuth",
    "subjectKeyIdentifier=hash",
    "authorityKeyIdentifier=keyid",
)
"""What it asks of the others; the names come besides."""


def make_certificates(
    folder: Path,
    *,
    names: str = "IP:127.0.0.1",
    authority: Sequence[str] = AUTHORITY_EXTENSIONS,
    extensions: Sequence[str] = EXTENSIONS,
    days: int = 2,
) -> Path:
    """Makes an authority ``ca``, and ``server`` and ``client`` signed by it.

    Args:
        folder: exists and is empty; gets ``NAME.pem`` and ``NAME.key`` for each; also returned.
        names: subjectAltName of both.
        authority: the authority's extensions; fewer than these are what Python 3.13 refuses.
        extensions: those of the other two.
        days: how long those are valid; -1: they have ended.
    """
    (folder / "openssl.cnf").write_text(_CONFIGURATION, encoding="ascii")
    own = [word for one in authority for word in ("-addext", one)]
    subject = ("-config", "openssl.cnf", "-subj")
    _openssl(
        folder, "req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", *own, *subject, "/CN=ca"
    )
    (folder / "extensions").write_text("\n".join((f"subjectAltName={names}", *extensions, "")), encoding="ascii")
    for name in ("server", "client"):
        _openssl(folder, "req", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", *subject, f"/CN={name}")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions", "-days", str(days))
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)
    return folder


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
