"""A receiver in a process of its own, to be killed: what it has accepted is on disk before it says so.
``python receiving_child.py http|syslog PORT FILE SEED``; it writes ``ready`` when it listens.

A line in ``FILE`` is what came in one request, or one message: ``{"key": …, "numbers": […]}``. HTTP is answered after
``fsync``, and then now and then not at once, so that a kill also hits the time between the two. Syslog has no answers;
its messages are on disk as soon as they are read, and the socket's buffer is as small as can be.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import BinaryIO

REFUSED = 97
"""Requests with an alert whose number it divides are refused for good (HTTP)."""
BUFFER = 4096
"""What syslog's sockets are told to keep; the kernel doubles it."""


class Book:
    """What was accepted, a line each; a line that a kill has cut short was never promised to anyone and goes."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        content = os.read(self._descriptor, os.fstat(self._descriptor).st_size)
        os.ftruncate(self._descriptor, content.rfind(b"\n") + 1)
        os.lseek(self._descriptor, 0, os.SEEK_END)

    def write(self, key: str | None, numbers: list[int]) -> None:
        """Durably."""
        os.write(self._descriptor, json.dumps({"key": key, "numbers": numbers}).encode() + b"\n")
        os.fsync(self._descriptor)


class Handler(BaseHTTPRequestHandler):
    """A real receiver's manners: keeps connections, stores, then answers."""

    protocol_version = "HTTP/1.1"
    book: Book
    chance: random.Random

    def do_POST(self) -> None:
        lines = self.rfile.read(int(self.headers["Content-Length"])).splitlines()
        numbers = [json.loads(one)["event"]["n"] for one in lines]
        refused = any(number % REFUSED == 0 for number in numbers)
        if not refused:
            self.book.write(self.headers["Idempotency-Key"], numbers)
        if self.chance.random() < 0.3:
            time.sleep(0.004)
        self.send_response(422 if refused else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(HTTPServer):
    """On a port that the test holds for all its lives."""

    allow_reuse_port = True

    def handle_error(self, *_: object) -> None:
        pass


def http(port: int, book: Book, chance: random.Random) -> None:
    """Serves one connection after the other: there is one sender."""
    Handler.book, Handler.chance = book, chance
    with Server(("127.0.0.1", port), Handler) as server:
        os.write(1, b"ready\n")
        server.serve_forever()


def syslog(port: int, book: Book, chance: random.Random) -> None:
    """Reads octet-counted messages of one connection after the other."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        os.write(1, b"ready\n")
        while True:
            connection, _address = listener.accept()
            with connection, connection.makefile("rb") as stream:
                while message := _message(stream):
                    book.write(None, [json.loads(message[message.index(b'"] ') + 3 :])["event"]["n"]])
                    time.sleep(chance.random() * 0.002)


def _message(stream: BinaryIO) -> bytes:
    digits = b""
    try:
        while (one := stream.read(1)).isdigit():
            digits += one
        return stream.read(int(digits)) if digits else b""
    except ConnectionError:
        return b""


if __name__ == "__main__":
    {"http": http, "syslog": syslog}[sys.argv[1]](int(sys.argv[2]), Book(sys.argv[3]), random.Random(int(sys.argv[4])))
