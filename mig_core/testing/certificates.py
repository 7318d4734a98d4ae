"""Real certificates for tests of TLS, made with the ``openssl`` program."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def make_certificates(folder: Path) -> Path:
    """Makes an authority ``ca``, and ``server`` (for 127.0.0.1) and ``client`` signed by it.

    Args:
        folder: exists and is empty; gets ``NAME.pem`` and ``NAME.key`` for each, valid for two days; also returned.
    """
    authority = ("-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority", "-days", "2")
    _openssl(folder, "req", "-x509", *_NEW_KEY, *authority)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n", encoding="ascii")
    for name in ("server", "client"):
        _openssl(folder, "req", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)
    return folder


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
