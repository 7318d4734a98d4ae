"""Command lines taken apart: which programs a line runs, and which script an interpreter is given.

Nothing is executed and no shell is asked. The grammar is that of sh(1) as far as words, quotes and operators go; what
only a running shell would know (variables, globs, substitutions) is "not known" where the program's name depends on it.
"""

from __future__ import annotations

import re

from mig_core.records import dataclass

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
_TAKING = frozenset({"-o", "+o", "-O", "+O", "--rcfile", "--init-file", "-W", "-X", "-I"})
"""Options of interpreters that take a word of their own."""
_CALLS_SHELL = frozenset({"su", "runuser", "sg", "script", "flock", "ssh", "screen", "tmux", "watch"})
_SUBSTITUTED = re.compile(r"\$\(([^()]*)\)|`([^`]*)`")
_UNKNOWN = re.compile(r"[$`*?\[]")


@dataclass(frozen=True, slots=True)
class Run:
    """A program that a command line runs."""

    program: str | None
    """As written: a path, or a name to be looked for on the PATH; None when it is only known to a running shell."""
    script: str = ""
    """What an interpreter is given to run."""
    is_argument: bool = False
    """Only named behind another program, which may run it (``xargs``, ``start-stop-daemon``) or not."""


def shell_runs(command: str) -> list[Run]:
    """The programs that a line of shell runs, each once, in their order; command substitutions come last."""
    text = command[:MAX_COMMAND]
    found = _runs_of_text(text, 0)
    for inner in _SUBSTITUTED.finditer(re.sub(r"'[^']*'", "''", text)):
        found += _runs_of_text(inner[1] or inner[2] or "", 0)
    return _bounded(found, is_whole=len(command) <= MAX_COMMAND)


def word_runs(words: list[str]) -> list[Run]:
    """The programs of a command that is in words already and passes no shell; wrappers and ``sh -c`` are opened."""
    return _bounded(_runs(words, 0, literal=True))


def _bounded(runs: list[Run], *, is_whole: bool = True) -> list[Run]:
    """Each once; one that is not known stands for those that are too many."""
    found = list(dict.fromkeys(runs))
    named = {run.program for run in found if not run.is_argument} | {run.script for run in found}
    found = [run for run in found if not (run.is_argument and run.program in named)]
    if len(found) <= MAX_PROGRAMS and is_whole:
        return found
    return [*found[: MAX_PROGRAMS - 1], Run(None)]


def _runs_of_text(text: str, depth: int) -> list[Run]:
    return [run for words in _simple_commands(text) for run in _runs(words, depth)]


def _simple_commands(command: str) -> list[list[str]]:
    """The words of each simple command, quotes still on."""
    commands: list[list[str]] = [[]]
    is_target = False
    at_start = True
    for found in _WORDS.finditer(command.replace("\\\n", " ")):
        kind = found.lastgroup
        if kind == "end":
            commands.append([])
            is_target = False
        elif kind == "redirect":
            is_target = not found[0].endswith("&")
        elif kind == "comment" and not at_start:
            commands[-1].append(found[0].split(None, 1)[0])
        elif kind == "word" or (kind == "odd" and found[0] != "\\"):
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
    return [Run(program), *_arguments(base, words[1:], depth, literal=literal)]


def _arguments(base: str, words: list[str], depth: int, *, literal: bool) -> list[Run]:
    """What a program may run that is named behind it: absolute paths, and the shell's text behind ``-c`` of some."""
    found = []
    for place, word in enumerate(words):
        text = word if literal else plain(word, keep=True)
        if text is None:
            continue
        if base in _CALLS_SHELL and place and words[place - 1] in ("-c", "--command", "--session-command"):
            found += _runs_of_text(text, depth + 1)
        else:
            path = text.partition("=")[2] if text.startswith("--") else text
            if path.startswith("/") and not _UNKNOWN.search(path):
                found.append(Run(path, is_argument=True))
    return found[:MAX_PROGRAMS]


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
                return [Run(program), *_runs_of_text(text, depth + 1)]
            return [Run(program)]
        if place and arguments[place - 1] in _TAKING:
            continue
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
