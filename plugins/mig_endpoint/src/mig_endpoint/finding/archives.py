"""Members of archives, judged by what the archive says of them: name, size, age, mode and kind. Used by ``evaluation``.

Only for searches that ask for it (``archives``), and for slots without checks that an archive cannot answer.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.archives.blob import FileBlob
from mig_endpoint.files.archives.members import Members
from mig_endpoint.files.opening import is_file, open_file
from mig_endpoint.finding.member_status import MemberStatus
from mig_endpoint.finding.names import NameBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mig_core.plugin.coverage import Reason, Tally
    from mig_endpoint.files.archives.member import Member
    from mig_endpoint.files.batch import Batch
    from mig_endpoint.files.naming import PathText
    from mig_endpoint.finding.answer import Answer
    from mig_endpoint.finding.plans import Pair

AT_ONCE = 1000
"""Members whose names are judged together."""


class Archives:
    """Looks into archives."""

    def __init__(
        self,
        answer: Answer,
        tally: Tally,
        expired: Callable[[], bool],
        now: int,
        before_hit: Callable[[], None],
        *,
        with_content: bool = False,
    ) -> None:
        """Makes it ready.

        Args:
            answer: where members that pass are recorded.
            tally: where what is left out is booked.
            expired: whether time is over.
            now: what ages are counted from, in nanoseconds since 1970.
            before_hit: called before something is recorded, so that files seen earlier come first.
            with_content: whether who records wants the content; then members are judged one by one, as they come.
        """
        self._answer = answer
        self._tally = tally
        self._now = now
        self._before_hit = before_hit
        self._members = Members(expired, self._skip, every_place=with_content)
        self._at_once = 1 if with_content else AT_ONCE
        self._path: PathText | None = None

    def look_at(self, batch: Batch, name: str, pairs: Iterable[Pair]) -> None:
        """Looks into one file for all slots that may ask for members.

        Raises:
            DeadlinePassed: time ran out.
        """
        path = self._path = batch.path_of(name)
        calls = batch.calls_for(name)
        try:
            fd = open_file(name, batch.fd, follow=name in batch.links, calls=calls)
        except OSError as failure:
            coverage.failed(self._tally, path, failure)
            return
        try:
            status = calls.fstat(fd)
            if is_file(status):
                self._look_inside(FileBlob(fd, status.st_size, calls), batch, name, list(pairs))
        except OSError as failure:
            coverage.failed(self._tally, path, failure)
        finally:
            calls.close(fd)

    def _look_inside(self, blob: FileBlob, batch: Batch, name: str, pairs: list[Pair]) -> None:
        members = self._members.of_file(blob)
        while some := list(itertools.islice(members, self._at_once)):
            self._tally.examined("members", len(some))
            names = NameBatch(list({_base_name(one) for one in some}))
            for pair in pairs:
                passing = set(pair[1].candidates(names))
                for one in some:
                    if _base_name(one) in passing:
                        self._judge(batch, name, one, pair)

    def _judge(self, batch: Batch, name: str, member: Member, pair: Pair) -> None:
        """Records a member if it passes."""
        run, slot = pair
        status = MemberStatus(member.mode, member.size, member.modified)
        if not slot.passes_as_member(status, self._now):
            return
        if run.is_full:
            self._tally.skip(coverage.LIMIT, batch.path_of(name))
            return
        self._before_hit()
        self._answer.record(pair, batch, name, status, member=member)

    def _skip(self, reason: Reason, inner: str) -> None:
        self._tally.skip(reason, f"{self._path}!{inner}" if inner else self._path or "")


def _base_name(member: Member) -> str:
    """The last part of a member's path; zip files made on Windows may have the other slash."""
    name = member.name.rstrip("/")
    return os.path.basename(name) if "/" in name else name.rsplit("\\", 1)[-1]
