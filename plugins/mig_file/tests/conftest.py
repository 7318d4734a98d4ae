"""Content that is held in memory, read as the module reads files."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mig_endpoint.finding.content import Question, Questions
from mig_endpoint.finding.reader import Reader, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def never() -> bool:
    """No deadline."""
    return False


def read(
    content: bytes,
    questions: Sequence[Question] = (),
    algorithms: Sequence[str] = (),
    *,
    expired: Callable[[], bool] = never,
    read_size: int = 1 << 20,
    max_line: int = 2 << 20,
    overlap: int = 512 << 10,
    front: int = 64 << 10,
    size: int | None = None,
) -> Reading:
    """What a reader of these sizes finds; ``size`` is what the file says of its length, if that is not so."""
    reader = Reader(Questions(questions), expired, read_size=read_size, max_line=max_line, overlap=overlap, front=front)
    with holding(content) as fd:
        known = len(content) if size is None else size
        return reader.read(fd, known, questions, algorithms)


@contextmanager
def holding(content: bytes) -> Iterator[int]:
    """A descriptor at the beginning of a file with this content."""
    fd = os.memfd_create("content")
    try:
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
