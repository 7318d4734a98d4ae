"""Blocks between a line that begins them and one that ends them (RFC 7468, RFC 4716), in time that the content bounds.

A regular expression over both lines looks for the end from each beginning anew: a file of beginnings keeps it busy for
minutes. Used by ``private`` and ``public``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.ssh.blob import NotAKey

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from mig_endpoint.ssh.blob import Found


def blocks(content: bytes, begin: re.Pattern[bytes], read: Callable[[bytes, bytes], Found]) -> list[Found | NotAKey]:
    """What is in the blocks; what is damaged as what is wrong with it.

    Args:
        content: of a file.
        begin: matches the mark that begins a block; its group 1 is what the end's mark repeats.
        read: understands a block: its label, and what is between the marks, with ``\\n`` at the ends of lines. Whatever
            ValueError or IndexError it raises, the block is damaged.
    """
    found: list[Found | NotAKey] = []
    marks = list(begin.finditer(content))
    ends = [*(mark.start() for mark in marks), len(content)][1:]
    for mark, end in zip(marks, ends, strict=True):
        body = content[mark.end() : end].replace(b"\r\n", b"\n")
        if not body.lstrip(b" \t").startswith(b"\n"):
            continue  # the mark stands in the text of a program
        stop = body.find(mark[0].replace(b"BEGIN", b"END", 1))
        if stop < 0:
            if mark.start() == 0 or content[mark.start() - 1 : mark.start()] == b"\n":
                found.append(NotAKey("has no end"))
            continue
        try:
            found.append(read(mark[1], body[:stop].strip(b" \t").removeprefix(b"\n")))
        except NotAKey as problem:
            found.append(problem)
        except (ValueError, IndexError):  # too few parts of a structure
            found.append(NotAKey("damaged"))
    return found
