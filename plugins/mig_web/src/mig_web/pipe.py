"""``python -m mig_web.pipe PORT``: joins standard input and output with a ``mig web`` on this machine.

For machines whose ports cannot be reached but where a program can be run: a container, a host behind a jump host.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

PIECE = 1 << 16


def main(arguments: list[str]) -> int:
    """Carries bytes both ways until the page has closed; returns the exit status."""
    if len(arguments) != 1 or not arguments[0].isdecimal():
        print("usage: python -m mig_web.pipe PORT", file=sys.stderr)  # noqa: T201  a program's own words
        return 2
    try:
        connection = socket.create_connection(("127.0.0.1", int(arguments[0])))
    except OSError as error:
        print(f"no mig web at port {arguments[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201  the same
        return 1
    with connection:
        threading.Thread(target=_send, args=(connection,), daemon=True).start()
        while piece := connection.recv(PIECE):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    return 0


def _send(connection: socket.socket) -> None:
    while piece := os.read(sys.stdin.fileno(), PIECE):
        connection.sendall(piece)
    connection.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
