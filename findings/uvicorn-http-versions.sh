#!/bin/sh
# uvicorn takes requests of HTTP/0.9 and HTTP/2.0 in plain text as if they were of 1.1, with both of its parsers.
#
# httptools and h11 read a request line that ends in HTTP/0.9 or HTTP/2.0 as one of HTTP/1.1, and uvicorn passes the
# version on in the scope. A framework that knows 1.0, 1.1, 2 and 3 only (falcon) raises, and the peer sees a 500. Who
# wants a 400 looks at the version before the application does.
# Seen with uvicorn 0.54.0, httptools 0.9.0, h11 0.16.0. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0
cat >"$place/serve.py" <<'PYTHON'
import asyncio
import socket
import sys
import threading

import uvicorn


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-seen", scope["http_version"].encode())]})
    await send({"type": "http.response.body", "body": b""})


def asked(port, line):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = connection.recv(65536).decode()
    status = answer.split(" ", 2)[1]
    seen = [one.partition(": ")[2] for one in answer.split("\r\n") if one.startswith("x-seen")]
    return status, seen[0] if seen else "-"


results = {}
for kind in ("httptools", "h11"):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, http=kind, lifespan="off", log_level="critical"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    for line in (b"GET / HTTP/1.1", b"GET / HTTP/0.9", b"GET / HTTP/2.0"):
        results[kind, line] = asked(port, line)
        print(f"{kind:10} {line.decode():15} status {results[kind, line][0]}, the application sees {results[kind, line][1]}")
    server.should_exit = True
    thread.join()
taken = {one: seen for one, seen in results.items() if not one[1].endswith(b"1.1")}
sys.exit(0 if all(seen == ("200", line[-3:].decode()) for (_kind, line), seen in taken.items()) else 1)
PYTHON
"$place/venv/bin/python" "$place/serve.py"
