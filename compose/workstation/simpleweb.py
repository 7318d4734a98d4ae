"""The small HTTP endpoint that audit events are posted to: prints each one on a line of its own.

Stands for whatever takes alerts in production. Standard library only; bodies are bounded, and what is not printable is
escaped, because the log is read on a terminal.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY_BYTES = 8 << 20


class Receiver(BaseHTTPRequestHandler):
    """Answers POST with 200 once the body is printed."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self) -> None:
        """Prints the body's lines."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self.send_error(413 if length.isdecimal() else 411)
            return
        text = self.rfile.read(int(length)).decode("utf-8", "backslashreplace")
        for line in filter(None, text.split("\n")):
            sys.stdout.write("".join(one if one.isprintable() else repr(one)[1:-1] for one in line) + "\n")
        sys.stdout.flush()
        self._answer()

    def do_GET(self) -> None:
        """For those who want to know whether it is there."""
        self._answer()

    def log_message(self, *_: object) -> None:
        """Nothing about requests: the log is for events."""

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1])), Receiver).serve_forever()
