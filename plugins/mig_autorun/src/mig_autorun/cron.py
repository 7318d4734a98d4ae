"""Cron tables: which lines are run, by the daemon that this system has.

What each daemon takes was measured: cron of Debian 12 and 13, cronie 1.7, systemd-cron 1.15 and 2.5, busybox 1.37.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from mig_autorun.at_jobs import at_job
from mig_autorun.entry import Entry
from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.finding import Found
    from mig_autorun.system import File, System

SHADOW = "/etc/shadow"


class Flavour(Enum):
    """Which cron there is."""

    DEBIAN = "cron"
    CRONIE = "cronie"
    SYSTEMD = "systemd-cron"
    BUSYBOX = "busybox"
    NONE = ""


_NAMES: dict[Flavour, re.Pattern[str]] = {
    Flavour.DEBIAN: re.compile(r"[A-Za-z0-9_-]+"),
    Flavour.CRONIE: re.compile(r"(?![.#])(?!.*(?:~|\.rpm(?:save|orig|new))$).+", re.DOTALL),
    Flavour.SYSTEMD: re.compile(r"(?!\.)(?!.*(?:~|\.dpkg-[a-z]+)$).+", re.DOTALL),
    Flavour.BUSYBOX: re.compile(r"(?!)"),
    Flavour.NONE: re.compile(r".*", re.DOTALL),
}
_NICKNAMES = frozenset({"@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_VARIABLE = re.compile(r"""\s*(?:"[^"]*"|'[^']*'|[A-Za-z_]\w*)\s*=""", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, _MONTHS), (0, 7, _DAYS))
_ITEM = re.compile(r"(\*|[0-9a-z]+)(?:-([0-9a-z]+))?(?:/([0-9]{1,3}))?")
NOT_JUDGED = Reason("accounts of jobs not judged: the shadow file could not be read")
NO_DAEMON = "no cron daemon found"


def flavour_of(system: System) -> Flavour:
    """The daemon that is installed; the first of several."""
    if any(
        system.at(path)
        for path in (
            "/usr/lib/systemd/system-generators/systemd-crontab-generator",
            "/lib/systemd/system-generators/systemd-crontab-generator",
            "/usr/libexec/systemd-cron/systemd-crontab-generator",
        )
    ):
        return Flavour.SYSTEMD
    for path in ("/usr/sbin/crond", "/sbin/crond", "/usr/bin/crond", "/bin/crond"):
        file = system.at(path)
        if file is not None and file.is_file:
            return Flavour.BUSYBOX if "busybox" in file.real else Flavour.CRONIE
    return Flavour.DEBIAN if system.at("/usr/sbin/cron") is not None else Flavour.NONE


@dataclass(frozen=True, slots=True)
class Job:
    """A line that is a job."""

    line: int
    schedule: str
    user: str
    command: str
    problem: str = ""
    """Why the line is none."""


def jobs(text: str, *, has_user: bool, flavour: Flavour) -> Iterator[Job]:
    """The jobs of a table, and the lines that are wrong."""
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.lstrip(" \t")
        if not bare or bare.startswith("#") or _VARIABLE.match(line):
            continue
        yield _job(number, bare, has_user=has_user, flavour=flavour)


def _job(number: int, line: str, *, has_user: bool, flavour: Flavour) -> Job:
    problem = ""
    if line.startswith("-") and flavour is Flavour.CRONIE:
        line = line[1:]
    if line.startswith("@"):
        schedule, _, rest = _cut(line)
        if schedule.lower() not in _NICKNAMES:
            problem = "no such nickname"
    else:
        parts: list[str] = []
        rest = line
        for _ in range(5):
            word, sign, rest = _cut(rest)
            parts.append(word)
            if not sign and not word:
                break
        schedule = " ".join(parts)
        if len(parts) < 5 or any(not _is_field(word, *limits) for word, limits in zip(parts, _FIELDS, strict=False)):
            problem = "bad time"
    user = ""
    if has_user:
        user, _, rest = _cut(rest)
    if not rest and not problem:
        problem = "no command"
    return Job(number, schedule, user, rest, problem)


def _cut(text: str) -> tuple[str, str, str]:
    """The first word, whether anything follows, and that."""
    found = re.match(r"([^ \t]*)([ \t]*)", text)
    if found is None:
        return text, "", ""
    return found[1], found[2], text[found.end() :]


def _is_field(word: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    def number(text: str) -> int:
        if text in names:
            return names.index(text) + low
        return int(text) if text.isdecimal() and len(text) < 4 else -1

    for item in word.lower().split(","):
        found = _ITEM.fullmatch(item)
        if found is None or (found[1] == "*" and found[2]) or found[3] == "0":
            return False
        if found[1] != "*" and not low <= number(found[1]) <= high:
            return False
        if found[2] and not number(found[1]) <= number(found[2]) <= high:
            return False
    return True


class Tables:
    """Gives the entries of cron tables."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.flavour = flavour_of(system)
        self._expiry: dict[str, str] | None = None
        self._is_shadow_read = False

    def jobs_of(self, found: Found) -> Iterator[Entry]:
        """The jobs that a file has, by the form that its place says."""
        reader = found.place.reader
        if reader == "crontab-system":
            return self.system_table(found)
        if reader == "crontab-user":
            return self.user_table(found)
        return anacron(found, self._system) if reader == "anacrontab" else at_job(found, self._system)

    def system_table(self, found: Found) -> Iterator[Entry]:
        """``/etc/crontab`` and files of ``/etc/cron.d``, whose lines name the user."""
        file = found.file
        if file.is_directory:
            return
        state = found.state or self._file_state(file, is_table=file.path == "/etc/crontab")
        yield from self._jobs(file, state, has_user=True, owner="")

    def user_table(self, found: Found) -> Iterator[Entry]:
        """The table of one user, who is the file's name."""
        file = found.file
        if not file.is_file:
            return
        state = found.state or self._spool_state(file)
        yield from self._jobs(file, state, has_user=False, owner=file.name)

    def _jobs(self, file: File, state: str, *, has_user: bool, owner: str) -> Iterator[Entry]:
        text = self._system.text(file)
        found = list(jobs(text, has_user=has_user, flavour=self.flavour))
        cut = bool(text) and not text.endswith("\n")
        if self.flavour is Flavour.DEBIAN and not state:
            state = self._spoiled(found, owner, cut=cut)
        last = text.count("\n") + 1
        for job in found:
            user = job.user or owner
            problem = state or job.problem or self._account(user)
            if not problem and cut and self.flavour is Flavour.CRONIE and job.line == last:
                problem = "last line without its end"
            unknown = problem == UNKNOWN
            yield Entry(
                "cron", file.name, file.path, file.status, job.line, "job", job.command, user=user, when=job.schedule,
                enabled=None if unknown else not problem, state=problem,
            )  # fmt: skip

    def _spoiled(self, found: list[Job], owner: str, *, cut: bool) -> str:
        """Debian's cron takes no line of a table that has a bad one."""
        if cut:
            return "last line without its end spoils the file"
        for job in found:
            if job.problem:
                return f"line {job.line} spoils the file: {job.problem}"
            if not owner and job.user not in self._system.ids:
                return f"line {job.line} spoils the file: no such user"
        return ""

    def _file_state(self, file: File, *, is_table: bool) -> str:
        flavour = self.flavour
        if flavour is Flavour.NONE:
            return NO_DAEMON
        if flavour is Flavour.BUSYBOX:
            return "busybox does not read it"
        if not is_table and _NAMES[flavour].fullmatch(file.name) is None:
            return "name not in force"
        if file.status is None:
            return "dangling"
        if flavour is Flavour.SYSTEMD:
            return UNKNOWN if ".rpm" in file.name and not is_table else ""
        if file.status.st_uid != 0:
            return "not owned by root"
        if flavour is Flavour.DEBIAN:
            if file.status.st_mode & 0o022:
                return "writable by others"
            return "more than one hard link" if file.status.st_nlink != 1 else ""
        return "mode not in force" if file.status.st_mode & 0o7533 != 0o400 else ""

    def _spool_state(self, file: File) -> str:
        flavour = self.flavour
        if flavour is Flavour.NONE:
            return NO_DAEMON
        where = file.path.rpartition("/")[0]
        if where == "/var/spool/cron" and flavour in (Flavour.DEBIAN, Flavour.SYSTEMD, Flavour.BUSYBOX):
            return "folder not read"
        if where == "/etc/crontabs" and flavour is not Flavour.BUSYBOX:
            return "folder not read"
        if file.status is None:
            return "dangling"
        uid = self._system.ids.get(file.name)
        if uid is None:
            return "no such user"
        if flavour is Flavour.BUSYBOX:
            return "" if file.status.st_uid == 0 else "not owned by root"
        if file.status.st_uid not in (0, uid):
            return "owned by another user"
        if flavour is Flavour.DEBIAN and (file.link or file.status.st_nlink != 1):
            return "a link" if file.link else "more than one hard link"
        return ""

    def _account(self, user: str) -> str:
        """Why nothing is run for an account; :data:`UNKNOWN` where the shadow file cannot be read."""
        if self.flavour is Flavour.BUSYBOX:
            return "" if user in self._system.ids else "no such user"
        if user not in self._system.ids:
            return "no such user"
        expiry = self._shadow()
        if expiry is None:
            return UNKNOWN if self._is_shadow_read else ""
        if user not in expiry:
            return "no line in the shadow file"
        day = expiry[user]
        if day.isdecimal() and len(day) < 12 and int(day) <= self._system.now / 86400:
            return "account has expired"
        return ""

    def _shadow(self) -> dict[str, str] | None:
        """Expiry by account; None when there is no shadow file or it cannot be read."""
        if not self._is_shadow_read:
            file = self._system.at(SHADOW)
            if file is None:
                return None
            self._is_shadow_read = True
            content = self._system.read(file)
            if content is None:
                self._system.tally.skip(NOT_JUDGED, SHADOW)
            else:
                self._expiry = {}
                for line in content.decode("utf-8", "surrogateescape").split("\n"):
                    fields = line.split(":")
                    if len(fields) > 7:
                        self._expiry.setdefault(fields[0], fields[7])
        return self._expiry


UNKNOWN = "not known whether it is in force"


def anacron(found: Found, system: System) -> Iterator[Entry]:
    """anacrontab(5): period, delay, name, command."""
    for number, line in enumerate(system.text(found.file).split("\n"), 1):
        fields = line.split(None, 3)
        if len(fields) == 4 and (fields[0].isdecimal() or fields[0].startswith("@")):
            is_there = any(system.at(path) for path in ("/usr/sbin/anacron", "/usr/bin/anacron", "/sbin/anacron"))
            yield Entry(
                "cron", fields[2], found.file.path, found.file.status, number, "anacron", fields[3], user="root",
                when=f"every {fields[0]} days" if fields[0].isdecimal() else fields[0], enabled=is_there,
                state="" if is_there else "no anacron found",
            )  # fmt: skip
