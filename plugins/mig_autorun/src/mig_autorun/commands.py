"""Command lines taken apart: which programs a line runs, and which script an interpreter is given.

Nothing is executed and no shell is asked. The grammar is that of sh(1) as far as words, quotes and operators go; what
only a running shell would know (variables, globs, substitutions) is "not known" where the program's name depends on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PROGRAMS = 20
"""Programs of one line that get rows."""
MAX_COMMAND = 8192
"""Characters of a line that are looked at: a quote without end is looked for again from each character."""
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=", re.ASCII)
_WORDS = re.compile(
    r"""(?P<space>[ \t]+)|(?P<end>\n|;;|;|\|\||&&|\|&|\||&|\(|\))|(?P<redirect>\d*(?:<<<|<<-?|>>|<>|>\||[<>])&?)
    |(?P<comment>\#[^\n]*)
    |(?P<word>(?:'[^']*'|"(?:\\.|[^"\\])*"|\$\((?:[^()]|\([^()]*\))*\)|\\.|[^ \t\n;|&()<>'"\\])+)|(?P<odd>.)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r"""'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)""", re.DOTALL)
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "fi", "do", "done", "while", "until", "!", "{", "}", "time", "esac"}
)
_BUILTINS = frozenset((
    ":", ".", "alias", "bg", "break", "builtin", "case", "cd", "continue", "declare", "echo", "eval", "exit",
    "export", "false", "fg", "for", "function", "getopts", "hash", "in", "jobs", "kill", "let", "local",
    "printf", "pushd", "popd", "pwd", "read", "readonly", "return", "select", "set", "shift", "source", "test",
    "times", "trap", "true", "type", "typeset", "ulimit", "umask", "unalias", "unset", "wait", "[", "[[",
    "shopt",
))  # fmt: skip
_SOURCING = frozenset({".", "source"})
_WRAPPERS: dict[str, frozenset[str]] = {
    "env": frozenset({"-u", "-C", "-S", "--unset", "--chdir"}),
    "nice": frozenset({"-n", "--adjustment"}),
    "ionice": frozenset({"-c", "-n", "-p"}),
    "chrt": frozenset(),
    "nohup": frozenset(),
    "setsid": frozenset(),
    "stdbuf": frozenset({"-i", "-o", "-e"}),
    "sudo": frozenset({"-u", "-g", "-C", "-h", "-p", "-r", "-t", "-T", "-U"}),
    "doas": frozenset({"-u", "-C"}),
    "runuser": frozenset({"-u", "-g", "-G"}),
    "exec": frozenset({"-a"}),
    "command": frozenset(),
    "busybox": frozenset(),
    "chronic": frozenset(),
    "systemd-cat": frozenset({"-t", "-p", "--identifier"}),
    "timeout": frozenset({"-k", "-s", "--signal", "--kill-after"}),
    "flock": frozenset({"-w", "-E", "--timeout"}),
}
"""Programs that run another -> their options that take a value of their own."""
_POSITIONAL = {"timeout": 1, "flock": 1, "chrt": 1}
"""Words of their own before the program's."""
_SHELLS = re.compile(r"(?:ba|da|a|k|mk|z|c|tc|fi|r|ya)?sh|busybox")
_INTERPRETERS = re.compile(
    r"(?:ba|da|a|k|mk|z|c|tc|fi|r)?sh|python[\d.]*|perl[\d.]*|ruby[\d.]*|php[\d.]*|node|nodejs|lua[\d.]*|tclsh[\d.]*"
)
_INLINE = re.compile(r"-[A-Za-z]*[ceErm]|--eval|--print|-p")
_UNKNOWN = re.compile(r"[$`*?\[]")


@dataclass(frozen=True, slots=True)
class Run:
    """A program that a command line runs."""

    program: str | None
    """As written: a path, or a name to be looked for on the PATH; None when it is only known to a running shell."""
    script: str = ""
    """What an interpreter is given to run."""


def shell_runs(command: str) -> list[Run]:
    """The programs that a line of shell runs, each once, in their order."""
    found: dict[Run, None] = {}
    for words in _simple_commands(command[:MAX_COMMAND]):
        for run in _runs(words, 0):
            found.setdefault(run)
            if len(found) >= MAX_PROGRAMS:
                return list(found)
    if len(command) > MAX_COMMAND:
        found.setdefault(Run(None))
    return list(found)


def word_runs(words: list[str]) -> list[Run]:
    """The programs of a command that is in words already and passes no shell; wrappers and ``sh -c`` are opened."""
    return list(dict.fromkeys(_runs(words, 0, literal=True)))[:MAX_PROGRAMS]


def _simple_commands(command: str) -> list[list[str]]:
    """The words of each simple command, quotes still on."""
    commands: list[list[str]] = [[]]
    is_target = False
    at_start = True
    for found in _WORDS.finditer(command):
        kind = found.lastgroup
        if kind == "end":
            commands.append([])
            is_target = False
        elif kind == "redirect":
            is_target = not found[0].endswith("&")
        elif kind == "comment" and not at_start:
            commands[-1].append(found[0].split(None, 1)[0])
        elif kind in ("word", "odd"):
            if is_target:
                is_target = False
            else:
                commands[-1].append(found[0])
        at_start = kind in ("space", "end")
    return [words for words in commands if words]


def _runs(words: list[str], depth: int, *, literal: bool = False) -> list[Run]:
    """What a simple command runs."""
    while words and not literal and (_ASSIGNMENT.match(words[0]) or words[0] in _KEYWORDS):
        words = words[1:]
    if not words or depth > 6:
        return []
    if not literal and words[0] in _BUILTINS and words[0] not in _SOURCING:
        return []
    program = words[0] if literal else plain(words[0])
    if program is None:
        return [Run(None)]
    base = program.rpartition("/")[2]
    if not literal and program in _SOURCING and len(words) > 1:
        return [Run(plain(words[1]))]
    if base in _WRAPPERS:
        inner = _after_options(words, base)
        if inner:
            return _runs(inner, depth + 1, literal=literal)
    if _INTERPRETERS.fullmatch(base):
        return _interpreted(program, base, words[1:], depth, literal=literal)
    return [Run(program)]


def _after_options(words: list[str], base: str) -> list[str]:
    """What a wrapper runs."""
    takes = _WRAPPERS[base]
    place = 1
    while place < len(words):
        word = words[place]
        if word == "--":
            place += 1
            break
        if not word.startswith("-") and not (base in ("env", "sudo") and _ASSIGNMENT.match(word)):
            break
        place += 2 if word in takes else 1
    return words[place + _POSITIONAL.get(base, 0) :]


def _interpreted(program: str, base: str, arguments: list[str], depth: int, *, literal: bool) -> list[Run]:
    for place, word in enumerate(arguments):
        if _INLINE.fullmatch(word):
            text = arguments[place + 1] if place + 1 < len(arguments) else ""
            text = text if literal else (plain(text, keep=True) or "")
            if _SHELLS.fullmatch(base) and word.endswith("c") and text:
                inner = [run for words in _simple_commands(text) for run in _runs(words, depth + 1)]
                return [Run(program), *inner]
            return [Run(program)]
        if not word.startswith(("-", "+")):
            script = word if literal else plain(word)
            return [Run(program, script)] if script else [Run(program)]
    return [Run(program)]


def plain(word: str, *, keep: bool = False) -> str | None:
    """A word without its quotes; None when only a running shell knows it. ``keep``: what it has for a shell stays."""
    if not keep and _UNKNOWN.search(re.sub(r"'[^']*'|\\.", "", word)):
        return None
    return _QUOTED.sub(_unquoted, word)


def _unquoted(found: re.Match[str]) -> str:
    if found[1] is not None:
        return found[1]
    if found[2] is not None:
        return re.sub(r"\\([$`\"\\\n])", r"\1", found[2])
    return found[3]
