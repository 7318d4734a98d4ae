"""A page whose port cannot be reached is reached through a program that runs beside it."""

from __future__ import annotations

import socket
import subprocess
import sys

PIPE = (sys.executable, "-m", "mig_web.pipe")


def test_bytes_go_both_ways_until_the_page_closes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        with subprocess.Popen([*PIPE, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            connection, _ = server.accept()
            with connection:
                assert process.stdin is not None
                process.stdin.write(b"GET / HTTP/1.1\r\n\r\n")
                process.stdin.flush()
                assert connection.recv(100) == b"GET / HTTP/1.1\r\n\r\n"
                connection.sendall(b"\xff" * 200_000)
            answered, _ = process.communicate(timeout=30)

    assert (answered, process.returncode) == (b"\xff" * 200_000, 0)


def test_where_nobody_listens_it_says_so() -> None:
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))

        ran = subprocess.run(
            [*PIPE, str(kept.getsockname()[1])], capture_output=True, text=True, timeout=30, check=False
        )

    assert ran.returncode == 1
    assert "no mig web at port" in ran.stderr
