"""Real proxies for tests, with the very files that operators are given (``packaging/proxies``), on ports of loopback.

Only ports, addresses, names and paths are replaced, each by one that is there; what is not found in a file is an error.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.testing.ports import free_port
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from pathlib import Path


NGINX_MAIN = """daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/mig.conf;
}}
"""
CADDY_MAIN = "{\n\tadmin off\n\tauto_https off\n}\n"


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the proxies."""

    name: str
    file: str
    program: str
    package: str
    begins: str
    """The line after which lines can be added to the part for everybody."""
    proxy_protocol: bool = False


KINDS = (
    Kind("nginx", "nginx.conf", "nginx", "nginx-light", "    server_name mig.example.net;"),
    Kind("haproxy", "haproxy.cfg", "haproxy", "haproxy", "frontend mig", proxy_protocol=True),
    Kind("caddy", "Caddyfile", "caddy", "caddy", "mig.example.net:443 {"),
)


class Proxy:
    """One running proxy before ``upstream``.

    Args:
        kind: which.
        source: the folder of the files that operators are given.
        folder: exists; for what the proxy needs, with the certificates that ``make_certificates`` made for localhost.
        upstream: address of mig-api.
        more: lines that an operator adds to the part for everybody.
    """

    def __init__(self, kind: Kind, source: Path, folder: Path, upstream: str, *, more: str = "") -> None:
        self.port, self.mutual_port = free_port(), free_port()
        self._kind = kind
        program = shutil.which(kind.program, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        if program is None:
            service_missing(f"no {kind.name} here (apt-get install {kind.package})")
        text = (source / kind.file).read_text(encoding="utf-8")
        text = text.replace(kind.begins, f"{kind.begins}\n{more}", 1)
        for before, after in self._replacements(folder, upstream):
            assert before in text, f"{kind.file} has no {before}"
            text = text.replace(before, after)
        (folder / "mig.pem").write_text((folder / "server.pem").read_text() + (folder / "server.key").read_text())
        home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        self._process = subprocess.Popen(
            self._command(str(program), folder, text),
            cwd=folder,
            env=home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def _replacements(self, folder: Path, upstream: str) -> list[tuple[str, str]]:
        always = [("127.0.0.1:1664", upstream)]
        match self._kind.name:
            case "nginx":
                return [
                    *always,
                    ("listen [::]:443 ssl;", ""),
                    ("listen [::]:8443 ssl;", ""),
                    ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
                    ("listen 8443 ssl;", f"listen 127.0.0.1:{self.mutual_port} ssl;"),
                    ("/etc/ssl/mig.pem", f"{folder}/server.pem"),
                    ("/etc/ssl/private/mig.key", f"{folder}/server.key"),
                    ("/etc/ssl/mig-clients.pem", f"{folder}/ca.pem"),
                ]
            case "haproxy":
                return [
                    *always,
                    ("bind [::]:443 v6only", f"bind [::1]:{self.port} v6only"),
                    ("bind [::]:8443 v6only", f"bind [::1]:{self.mutual_port} v6only"),
                    ("bind :443", f"bind 127.0.0.1:{self.port}"),
                    ("bind :8443", f"bind 127.0.0.1:{self.mutual_port}"),
                    ("/etc/haproxy/mig.pem", f"{folder}/mig.pem"),
                    ("/etc/haproxy/mig-clients.pem", f"{folder}/ca.pem"),
                    ("maxconn 20000", "maxconn 200"),
                ]
            case _:
                return [
                    *always,
                    ("mig.example.net:443", f"https://localhost:{self.port}"),
                    ("mig.example.net:8443", f"https://localhost:{self.mutual_port}"),
                    ("/etc/ssl/mig.pem", f"{folder}/server.pem"),
                    ("/etc/ssl/private/mig.key", f"{folder}/server.key"),
                    ("/etc/ssl/mig-clients.pem", f"{folder}/ca.pem"),
                ]

    def _command(self, program: str, folder: Path, text: str) -> list[str]:
        match self._kind.name:
            case "nginx":
                (folder / "mig.conf").write_text(text, encoding="utf-8")
                (folder / "nginx.conf").write_text(NGINX_MAIN.format(folder=folder), encoding="utf-8")
                return [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
            case "haproxy":
                (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
                return [program, "-db", "-f", str(folder / "haproxy.cfg")]
            case _:
                (folder / "Caddyfile").write_text(CADDY_MAIN + text, encoding="utf-8")
                return [program, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]

    def wait_until_it_answers(self) -> None:
        """Returns when both ports take connections."""
        deadline = time.monotonic() + 60
        waiting = [self.port, self.mutual_port]
        while waiting:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self._kind.name} ended: {self._process.communicate()[1].decode()}")
            try:
                socket.create_connection(("127.0.0.1", waiting[0]), timeout=1).close()
                waiting.pop(0)
            except OSError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self._kind.name} did not come up") from None
                time.sleep(0.02)

    def stop(self) -> None:
        """Ends it, whoever is connected."""
        self._process.kill()
        self._process.communicate(timeout=60)
