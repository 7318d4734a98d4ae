"""pytest plugin: a real nginx in front of something, with nginx's defaults (1 MB of body, buffering and all).

Name it in a conftest (``pytest_plugins = ["mig_core.testing.nginx"]``) and call the fixture ``nginx_before`` with the
address of what is to stand behind it.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from mig_core.testing.ports import free_port
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen {address};
        {location}
    }}
}}
"""
LOCATION = """
        location / {
            proxy_pass http://UPSTREAM;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }
"""


class Nginx:
    """One nginx on a port of loopback; ``location`` stands below ``server``, and UPSTREAM in it for the other side."""

    def __init__(self, folder: Path, upstream: str, location: str = LOCATION) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        folder.mkdir(parents=True)
        configuration = folder / "nginx.conf"
        text = _CONFIGURATION.format(
            folder=folder, address=self.address, location=location.replace("UPSTREAM", upstream)
        )
        configuration.write_text(text, encoding="utf-8")
        self._log = folder / "error.log"
        self._process = subprocess.Popen(
            [_program(), "-p", str(folder), "-c", str(configuration)], stderr=subprocess.PIPE, text=True
        )

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://{self.address}"

    def wait_until_it_answers(self) -> None:
        """Returns when connections are accepted."""
        host, _, port = self.address.rpartition(":")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"nginx ended: {self._process.communicate()[1]}")
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("nginx did not come up")

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(60)
        if self._process.stderr is not None:
            self._process.stderr.close()


@pytest.fixture
def nginx_before(tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """Starts an nginx before an address (``127.0.0.1:1664``), perhaps with another ``location``."""
    if not _program():
        service_missing("no nginx here (apt-get install nginx-light)")
    started: list[Nginx] = []

    def start(upstream: str, location: str = LOCATION) -> Nginx:
        server = Nginx(tmp_path / f"nginx{len(started)}", upstream, location)
        started.append(server)
        server.wait_until_it_answers()
        return server

    yield start
    for one in started:
        one.stop()


def _program() -> str:
    return shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin") or ""
