"""What a programming language or git runs of itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_autorun.commands import Run, shell_runs
from mig_autorun.readers.reading import Look, entry_of, lines, with_programs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

_VERSION = re.compile(r"/python(\d)(?:\.(\d+))?/")

_SECTION = re.compile(r"\[\s*([^\s\"\]]+)(?:\s+\"((?:[^\"\\]|\\.)*)\")?\s*\]\s*(.*)")
_GIT = re.compile(
    r"(?i)core\.(fsmonitor|pager|editor|sshcommand|hookspath|gitproxy|askpass|alternaterefscommand)|diff\.external"
    r"|diff\.[^.]+\.(textconv|command)|filter\.[^.]+\.(clean|smudge|process)|merge\.[^.]+\.driver"
    r"|gpg(?:\.[^.]+)?\.program|alias\..+|credential(?:\..+)?\.helper|pager\..+|include(?:if\..+)?\.path|sequence\.editor"
    r"|(?:diff|merge)tool\..+\.cmd|uploadpack\.packobjectshook|interactive\.difffilter|remote\..+\.(?:receivepack|uploadpack|vcs)"
)
_FLAGS = frozenset({"true", "false", "yes", "no", "on", "off", "1", "0", ""})


def python(found: Found, look: Look) -> Iterator[Entry]:
    """site: import lines of ``.pth`` files, and the modules that are imported at each start.

    A ``.pth`` whose name begins with a full stop is run by 3.11.2 and not by 3.13; one that begins with a byte order
    mark the other way round.
    """
    file = found.file
    if not file.name.endswith(".pth"):
        yield from _customize(found, look)
        return
    version = _VERSION.search(f"{file.path}/")
    minor = (int(version[1]), int(version[2])) if version and version[2] else (3, 0)
    state = found.state
    if not state and file.name.startswith(".") and minor >= (3, 13):
        state = "name begins with a full stop: not read"
    text = look.system.text(file)
    if text.startswith("\ufeff"):
        if minor < (3, 13):
            state = state or "begins with a byte order mark: not read"
        text = text[1:]
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        bare = line.strip()
        if line.startswith(("import ", "import\t")):
            yield entry_of(
                found, line=number, key="import", command=line[:8000], program=file.path, state=state, enabled=not state
            )
        elif bare and not bare.startswith("#"):
            yield entry_of(found, line=number, key="path", command=bare, state=state, enabled=not state)


def _customize(found: Found, look: Look) -> Iterator[Entry]:
    """``sitecustomize`` and ``usercustomize``: a file, a package folder or byte code beside the folder."""
    file = found.file
    stem = file.name.partition(".")[0]
    state = found.state
    program = file.path
    if file.is_directory:
        program = f"{file.path}/__init__.py"
        if look.system.at(program) is None:
            return
    elif not file.name.endswith((".py", ".pyc", ".so")):
        return
    version = _VERSION.search(file.path)
    if not state and version and "-packages" in file.path and version[2]:
        first = f"/usr/lib/python{version[1]}.{version[2]}/{stem}.py"
        if look.system.at(first) is not None and first != file.path:
            state = f"{first} is found first"
    if not state and file.path.startswith("/etc/python") and version is None:
        state = "not on the path"
    yield entry_of(found, key=stem, program=program, state=state, enabled=not state)


def git(found: Found, look: Look) -> Iterator[Entry]:
    """git-config(1): settings that git runs, or that name another file of settings."""
    section = ""
    for number, line in lines(look, found, "#;"):
        rest = line
        header = _SECTION.match(line)
        if header is not None:
            section = f"{header[1]}.{header[2]}" if header[2] is not None else header[1]
            rest = header[3]
        key, sign, value = rest.partition("=")
        name = f"{section}.{key.strip()}"
        if not sign or _GIT.fullmatch(name) is None:
            continue
        value = value.strip()
        bare = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        bare = re.sub(r'\\(["\\])', r"\1", bare)
        if bare.lower() in _FLAGS:
            continue
        one = entry_of(found, name, line=number, key=name, command=bare)
        yield from with_programs(look, one, _runs(name.lower(), bare))


def _runs(name: str, value: str) -> list[Run]:
    """What to look for: nothing for what git itself does, else what a shell would run."""
    if name.startswith("alias.") and not value.startswith("!"):
        return []
    if name.startswith(("include", "core.hookspath")):
        return []
    if name.startswith("credential") and not value.startswith(("/", "!")):
        return [Run(f"git-credential-{value.split()[0]}")]
    return shell_runs(value.removeprefix("!"))
