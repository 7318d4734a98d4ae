"""Reads an open file once: digests and content checks from the same bytes, in one reused buffer.

The buffer holds ``READ_SIZE`` bytes and, in ``FRONT`` before them, the unfinished line. A line that does not fit into
``MAX_LINE`` is looked at in windows that overlap by more than any expression without repetition can match, so nothing
is missed at their edges; expressions with ``*`` or ``+`` that found nothing in such a line are reported as undecided.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_core.records import dataclass
from mig_endpoint import coverage
from mig_endpoint.buffers import ALIGNMENT, page_aligned
from mig_endpoint.files import digests
from mig_endpoint.files.calls import DIRECT
from mig_endpoint.files.compressed import MIN_EXPANDED_BOUND, Expanded, decompressor_for
from mig_endpoint.files.interruptions import DeadlinePassed, Unreadable
from mig_endpoint.files.reading import source_of
from mig_endpoint.finding.content import Block, ContentScan
from mig_endpoint.finding.patterns import without_returns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from mmap import mmap

    from mig_core.plugin.coverage import Reason
    from mig_endpoint.files.calls import Calls
    from mig_endpoint.files.reading import Source
    from mig_endpoint.finding.content import Question, Questions

READ_SIZE = 512 << 10
"""Fits into a core's own cache beside what searches it."""
MAX_LINE = 2 << 20
OVERLAP = 512 << 10
FRONT = 64 << 10
"""Where a piece begins in the buffer, as long as the unfinished line before it is no longer: a multiple of a page."""
ROOM = 8
"""A buffer for longer lines has an eighth more than it needs."""
NEWLINE = ord("\n")


@dataclass(slots=True)
class Reading:
    """What one read of a file gave."""

    found: Collection[Question] = ()
    """Content questions answered with yes."""
    doubtful: Collection[Question] = ()
    """Content questions left open."""
    digests: dict[str, str] | None = None
    """Values by algorithm; None if not all of the content could be read."""
    problem: tuple[Reason, str] | None = None
    """Why the content ended early: what to book, and a text."""


NOTHING_FOUND = Reading()
"""The commonest reading: complete, no question answered with yes, no digests asked for."""


class Reader:
    """Reads files one after the other. Not to be shared between threads."""

    def __init__(
        self,
        questions: Questions,
        expired: Callable[[], bool],
        *,
        read_size: int = READ_SIZE,
        max_line: int = MAX_LINE,
        overlap: int = OVERLAP,
        front: int = FRONT,
        expanded_bound: int = MIN_EXPANDED_BOUND,
    ) -> None:
        """Makes the buffer. ``expired`` says when time is over. The sizes are for tests."""
        self._questions = questions
        self._expired = expired
        self._read_size = read_size
        self._max_line = max_line
        self._overlap = overlap
        self._front = front
        self._expanded_bound = expanded_bound
        self._use(page_aligned(front + read_size + 1))
        self.bytes = 0
        """Bytes read from disk in all."""

    def _use(self, buffer: mmap) -> None:
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._whole = [self._view[: self._read_size]]
        self._piece = self._view[self._front : self._front + self._read_size]

    def read_small(self, fd: int, asked: Collection[Question], algorithms: Collection[str]) -> Reading | None:
        """Reads a file that fits into the buffer, of which nothing is known yet.

        Its length is asked for first: what has none is no regular file (lseek(2)), and nothing is taken out of it.

        Args:
            fd: open for reading, at its beginning. Not in the care of a guard.
            asked: see :meth:`read`.
            algorithms: see :meth:`read`.

        Returns:
            None where it has to be looked at closely; it is at its beginning again.

        Raises:
            OSError: it cannot be moved in any more.
        """
        try:
            size = os.lseek(fd, 0, os.SEEK_END)
        except OSError:
            return None
        try:
            if 0 < size < self._read_size and os.preadv(fd, self._whole, 0) == size:
                self.bytes += size
                return self._small(size, asked, algorithms)
        except OSError:
            pass  # who reads it then will say so
        os.lseek(fd, 0, os.SEEK_SET)
        return None

    def read(
        self,
        fd: int,
        size: int,
        asked: Collection[Question],
        algorithms: Collection[str],
        *,
        expand: bool = False,
        every_kind: bool = False,
        calls: Calls = DIRECT,
        closely: bool = False,
    ) -> Reading:
        """Reads the file behind ``fd`` from its beginning, as far as needed.

        Args:
            fd: open for reading.
            size: of the file, if it is known to be exact, else 0.
            asked: what to find out about its lines.
            algorithms: hashlib names of the digests to compute.
            expand: look into compressed files, of ``every_kind`` or gzip only.
            every_kind: see ``expand``.
            calls: who asks the operating system.
            closely: :meth:`read_small` was tried; nobody wants it to be read once more than needed.

        Raises:
            DeadlinePassed: time ran out in the middle.
        """
        if 0 < size < self._read_size and not (expand or closely):
            try:
                count = calls.readv(fd, self._whole)
            except OSError as failure:
                return Reading((), asked, None, _problem(failure))
            if count == size:
                self.bytes += count
                return self._small(count, asked, algorithms)
            calls.lseek(fd, 0, os.SEEK_SET)  # it changed, or is one of those that do not know their size
        new = None
        try:
            if expand:
                new = decompressor_for(fd, calls, every_kind=every_kind)
            source: Source = source_of(fd, size, calls)
            if new is not None:
                source = Expanded(fd, size, self._expired, new, calls=calls, minimum_bound=self._expanded_bound)
        except Unreadable as failure:
            return Reading((), asked, None, (failure.reason, str(failure)))
        except OSError as failure:
            return Reading((), asked, None, _problem(failure))
        return self._large(source, asked, algorithms)

    def _small(self, count: int, asked: Collection[Question], algorithms: Collection[str]) -> Reading:
        """The reading of a file that lies in the buffer as a whole."""
        values = None
        if algorithms:
            running = digests.start(algorithms)
            for one in running.values():
                one.update(self._view[:count])
            values = digests.finish(running)
        elif not asked:
            return NOTHING_FOUND
        if not asked:
            return Reading(digests=values)
        buffer, patterns = self._buffer, self._questions.patterns
        last = count - 1 if buffer[count - 1] == NEWLINE else count
        buffer[last] = NEWLINE  # what follows the lines must look like their end
        view = self._view[:last]
        block: Block | None = None
        found = set()
        for question in asked:
            pattern = patterns[question]
            verdict = None if question.every_line else pattern.is_near_texts(view, buffer, 0, last)
            if verdict is None:
                block = block or Block(buffer, 0, last)
                verdict = all(map(pattern.matches, block.lines())) if question.every_line else pattern.is_in_all(block)
            if verdict:
                found.add(question)
        return Reading(found, (), values) if found or algorithms else NOTHING_FOUND

    def _large(self, source: Source, asked: Collection[Question], algorithms: Collection[str]) -> Reading:
        """The reading of a file piece by piece."""
        scan = ContentScan(self._questions, asked)
        running = digests.start(algorithms)
        problem = None
        try:
            complete = self._pump(source, scan, list(running.values()))
        except Unreadable as failure:
            complete, problem = False, (failure.reason, str(failure))
        except OSError as failure:
            complete, problem = False, _problem(failure)
        finally:
            self.bytes += source.consumed
        scan.finish(cut_off=problem is not None)
        values = digests.finish(running) if complete else None
        return Reading(scan.found, scan.doubtful, values, problem)

    def _pump(self, source: Source, scan: ContentScan, hashes: list[digests.Running]) -> bool:
        """Moves the content through the buffer; whether it was read to its end."""
        begin = end = self._front  # an unfinished line that has been read; what comes next follows it
        inside = 0  # 1 if its first byte is only there as neighbour: it is the middle of a long line
        pause, wait = 0, 0  # pieces that are not skimmed over: twice as many each time that it was in vain
        while hashes or not scan.is_decided():
            # 1. the next piece behind what is left of the last one
            fresh = end
            if fresh == self._front and not inside and not hashes and wait <= 0:
                begin, count, passed = self._skim(source, scan, begin)
                pause = wait = 0 if passed else 2 * pause + 1
            else:
                count = source.fill(self._room(fresh))
                wait -= 1
            end += count
            # 2. digests
            for one in hashes:
                one.update(self._view[fresh:end])
            if source.omitted:
                self._digest_zeros(source.omitted, hashes)
                source.omitted = 0
            # 3. whole lines
            if scan.is_decided():
                begin = end = self._front
            elif count:
                begin, end, inside = self._look(scan, begin, end, fresh, inside)
            elif end > begin + inside:
                self._show(scan, begin, end, inside)
            if not count:
                return True
            if self._expired():
                raise DeadlinePassed
        return False

    def _skim(self, source: Source, scan: ContentScan, begin: int) -> tuple[int, int, bool]:
        """Reads pieces up to one that may hold something, or is no piece like most; that one nobody has looked at.

        Args:
            source: what is read.
            scan: what is looked for.
            begin: of the unfinished line, which ends where pieces begin.

        Returns:
            Where the unfinished line before that piece begins, how long the piece is, and whether others were passed
            over.

        Raises:
            DeadlinePassed: time ran out.
        """
        buffer, view, piece, front = self._buffer, self._view, self._piece, self._front
        passed = False
        while True:
            count = source.fill(piece)
            end = front + count
            last = buffer.rfind(b"\n", front, end)
            start = last + 1
            if last < 0 or end - start > front or source.omitted:
                return begin, count, passed
            if not scan.are_ruled_out(view[begin:last], buffer, begin, last):
                return begin, count, passed
            passed = True
            begin = front - (end - start)
            view[begin:front] = view[start:end]
            if self._expired():
                raise DeadlinePassed

    def _room(self, place: int) -> memoryview:
        """Where to read the piece that begins at this place of the buffer."""
        if place == self._front:
            return self._piece
        if len(self._buffer) <= place + self._read_size:
            self._grow(place + self._read_size + 1)
        return self._view[place : place + self._read_size]

    def _digest_zeros(self, count: int, hashes: list[digests.Running]) -> None:
        """Digests zeros that were not read: the rest of a hole."""
        if not hashes:
            return
        zeros = memoryview(bytes(self._read_size))
        while count:
            some = min(count, len(zeros))
            for one in hashes:
                one.update(zeros[:some])
            count -= some
            if self._expired():
                raise DeadlinePassed

    def _look(self, scan: ContentScan, begin: int, end: int, fresh: int, inside: int) -> tuple[int, int, int]:
        """Shows whole lines in ``buffer[begin:end]``; what to keep. A newline can only lie after ``fresh``."""
        last = self._buffer.rfind(b"\n", fresh, end)
        if last >= 0:
            self._show(scan, begin, last, inside)
            return *self._keep(last + 1, end), 0
        if end - begin < self._max_line:
            return begin, end, inside
        edge = _whole_characters(self._buffer, end - 1)  # one byte stays back as neighbour
        scan.look_at(Block(bytes(self._view[begin:end]), inside, edge - begin, window=True))
        start = _next_character(self._buffer, max(begin + 1, edge - self._overlap))
        return *self._keep(start - 1, end), 1

    def _show(self, scan: ContentScan, begin: int, end: int, inside: int) -> None:
        """Shows lines that end at ``end``; with ``inside`` the first of them began in an earlier window."""
        if not inside:
            self._buffer[end] = NEWLINE  # what surrounds the lines must look like their ends
            if begin:
                self._buffer[begin - 1] = NEWLINE
            scan.look_at_lines(self._view[begin:end], self._buffer, begin, end)
            return
        data = bytes(self._view[begin:end])
        data = data[:inside] + bytes(without_returns(memoryview(data)[inside:]))
        scan.look_at(Block(data, inside, len(data), window=True))

    def _keep(self, start: int, end: int) -> tuple[int, int]:
        """Moves the rest to where what is read next follows it, aligned; where it lies then."""
        size = end - start
        place = self._front if size <= self._front else size + -size % ALIGNMENT
        rest = bytes(self._view[start:end])
        if place >= len(self._buffer):
            self._grow(place + 1)
        self._view[place - size : place] = rest
        return place - size, place

    def _grow(self, size: int) -> None:
        content = self._view
        self._use(page_aligned(size + size // ROOM))
        self._view[: len(content)] = content


def _problem(failure: OSError) -> tuple[Reason, str]:
    reason = coverage.reason_of(failure)
    if reason is coverage.NOT_FOUND:  # it is open, so it was there: some files of /sys answer a read like that
        reason = coverage.READ_ERROR
    return reason, coverage.problem_of(failure)


def _next_character(buffer: mmap, start: int) -> int:
    """``start``, moved on so that it is not in the middle of a UTF-8 sequence."""
    for position in range(start, start + 4):
        if not 0x80 <= buffer[position] < 0xC0:
            return position
    return start


def _whole_characters(buffer: mmap, end: int) -> int:
    """``end``, moved back so that no UTF-8 sequence is cut there."""
    for back in range(1, 4):
        byte = buffer[end - back]
        if byte < 0x80:
            return end
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return end - back if length > back else end
    return end
