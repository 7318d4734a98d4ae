"""The trees that file benchmarks look at: many small files, and a few large ones; the same bytes each time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SMALL_FILES = 100_000
FILES_PER_DIRECTORY = 12
LARGE_FILES = 10
LARGE_BYTES = 42 << 20
LOG_FILES = 10
NEEDLE = "AKIA0123456789ABCDEF"
"""In 40 of the small files, and in the last line of one large one."""
NEEDLES = 40
SUFFIXES = ("txt", "conf", "py", "log", "json", "h", "md", "xml", "sh", "dat")

# fmt: off
_WORDS = (
    "server", "listen", "error", "warning", "request", "response", "connection", "timeout", "user", "group", "file",
    "path", "value", "config", "module", "import", "return", "function", "static", "const", "include", "while",
    "mysql", "nginx", "ssh", "kernel", "password", "secret", "token", "example", "address", "proxy", "cache",
    "index", "header", "footer", "127.0.0.1", "8080", "0x7f", "true", "false",
)
# fmt: on


def small_tree(folder: Path, files: int = SMALL_FILES) -> Path:
    """A tree of small text files, median about 2 kB, a tenth of them named ``*.conf``. Made once."""
    tree = folder / f"small-{files}"
    if (tree / "complete").exists():
        return tree
    chance = random.Random(1)
    text = _text(chance, 4 << 20)
    per_branch = FILES_PER_DIRECTORY * 40
    for number in range(files):
        directory = tree / f"branch{number // per_branch}" / f"leaf{number // FILES_PER_DIRECTORY % 40}"
        if number % FILES_PER_DIRECTORY == 0:
            directory.mkdir(parents=True)
        size = min(int(chance.lognormvariate(7.6, 1.1)) + 20, 200_000)
        start = chance.randrange(len(text) - size)
        content = text[start : start + size]
        if number % (files // NEEDLES) == 7:
            content += f"\nkey {NEEDLE}\n".encode()
        (directory / f"file{number}.{SUFFIXES[number % len(SUFFIXES)]}").write_bytes(content)
    (tree / "complete").touch()
    return tree


def large_tree(folder: Path, files: int = LARGE_FILES, size: int = LARGE_BYTES) -> Path:
    """A few large text files. Made once."""
    tree = folder / f"large-{files}-{size}"
    if (tree / "complete").exists():
        return tree
    tree.mkdir(parents=True)
    chance = random.Random(2)
    block = _text(chance, 1 << 20)
    for number in range(files):
        with open(tree / f"large{number}.log", "wb") as file:
            for piece in range(size >> 20):
                cut = (piece * 7919 + number * 104_729) % len(block)
                file.write(block[cut:] + block[:cut])
            if number == files - 1:
                file.write(f"\nkey {NEEDLE}\n".encode())
    (tree / "complete").touch()
    return tree


def log_tree(folder: Path, files: int = LOG_FILES, size: int = LARGE_BYTES) -> Path:
    """Large files of log lines: times, capitals, mail addresses and passwords everywhere in them. Made once."""
    tree = folder / f"logs-{files}-{size}"
    if (tree / "complete").exists():
        return tree
    tree.mkdir(parents=True)
    chance = random.Random(3)
    lines = [_log_line(chance, number) for number in range(60_000)]
    for number in range(files):
        with open(tree / f"auth{number}.log", "wb") as file:
            while file.tell() < size:
                start = chance.randrange(len(lines))
                file.write("".join(lines[start : start + 5_000]).encode())
    (tree / "complete").touch()
    return tree


def _log_line(chance: random.Random, number: int) -> str:
    user, host = (f"{chance.choice(_WORDS)}{chance.randrange(90)}" for _ in range(2))
    address = ".".join(str(chance.randrange(256)) for _ in range(4))
    port = chance.randrange(65536)
    what = chance.choice(
        (
            f"Accepted publickey for {user} from {address} port {port} ssh2: RSA SHA256:AKIJ{number:X}",
            f"Failed password for invalid user {user} from {address} port {port} ssh2",
            f"to=<{user}@{host}.example.org>, relay={host}.example.org[{address}]:25, status=sent (250 OK)",
            f'{address} - {user} "GET /{host}/{user}?q={number} HTTP/1.1" 200 {port} "Mozilla/5.0 (X11)"',
            f"Started Session {number} of User {user}; password=[MASKED], Quota: {port % 100} %, Zone=KVM",
        )
    )
    time = f"{number % 24:02}:{number % 60:02}:{chance.randrange(60):02}"
    return f"Nov {1 + number // 2000:2} {time} {host} {user}[{number}]: {what}\n"


def _text(chance: random.Random, size: int) -> bytes:
    lines = []
    length = 0
    while length < size:
        line = " ".join(chance.choice(_WORDS) for _ in range(chance.randrange(4, 16)))
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines).encode()[:size]
