"""Manual pages from what the programs say of themselves: argparse's parsers and typer's commands."""

from __future__ import annotations

import argparse
import importlib
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FILES = {
    "mig-agent": {"/etc/mig/agent.toml": "settings", "/etc/mig/acl.json": "who may ask what", "/etc/mig/keys/": "keys of those who ask",
                  "/var/lib/mig-agent/": "state"},
    "mig-api": {"/etc/mig/api.toml": "settings", "/var/lib/mig-api/": "state"},
    "mig-scheduler": {"/etc/mig/scheduler.toml": "settings"},
    "mig": {"~/.config/mig/config.toml": "settings"},
    "mig-console": {"~/.config/mig/config.toml": "settings"},
}
APPS = {"mig": "mig_core.cli.root", "mig-admin": "mig_core.cli.admin", "mig-console": "mig_core.cli.console.main"}
"""Programs of typer, and the modules that have their ``app``."""
Rows = "Sequence[tuple[str, str]]"


@dataclass(frozen=True)
class Page:
    """One page: ``sections`` are titles with rows of a term and what it means.

    A command's page, ``mig-file(1mig)``, has a section of its own: ``mig agent`` and the program ``mig-agent`` are two.
    """

    name: str
    summary: str
    synopsis: str
    sections: Mapping[str, Sequence[tuple[str, str]]]
    see: Sequence[str] = ()
    section: str = "1"

    @property
    def file(self) -> str:
        """Its file below ``man1``, before it is compressed."""
        return f"{self.name}.{self.section}"

    def text(self, version: str) -> str:
        """roff, as man(7) has it."""
        lines = [f'.TH "{_roff(self.name.upper())}" {self.section} "" "MIG {version}" "MIG"', ".SH NAME"]
        lines += [f"{_roff(self.name)} \\- {_roff(self.summary)}", ".SH SYNOPSIS", _line(self.synopsis)]
        for title, rows in self.sections.items():
            if rows:
                lines.append(f".SH {title}")
            for term, meaning in rows:
                lines += [".TP", f".B {_roff(term)}", _line(meaning)] if term else [_line(meaning)]
        if self.see:
            other = "1mig" if self.section == "1" else "1"
            lines += [".SH SEE ALSO", ", ".join(f"\\fB{_roff(one)}\\fR({other})" for one in self.see)]
        return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    return " ".join(text.replace("\\", "\\e").replace("-", "\\-").split())


def _line(text: str) -> str:
    escaped = _roff(text)
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


class _Parsed(Exception):  # noqa: N818  how a parser is got out of a program
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


@contextmanager
def _caught() -> Iterator[None]:
    def stop(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        raise _Parsed(parser)

    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop):
        yield


def parser_of(target: str) -> argparse.ArgumentParser | None:
    """The parser with which a program, ``module:function``, reads its command line; None if it has none of argparse's."""
    module, function = target.split(":")
    try:
        with _caught():
            getattr(importlib.import_module(module), function)(["--check"])
    except _Parsed as parsed:
        return parsed.parser
    except SystemExit:  # it has no such option, for it reads its command line in another way
        return None
    return None


def pages(program: str, target: str) -> list[Page]:
    """A program's page, and one for each of its commands where it has many."""
    if program in APPS:
        return list(_typer_pages(program, importlib.import_module(APPS[program]).app))
    parser = parser_of(target)
    assert parser is not None, program
    return [_argparse_page(program, parser)]


def _argparse_page(program: str, parser: argparse.ArgumentParser) -> Page:
    options, commands = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                commands.append((choice.dest, choice.help or ""))
                below = action.choices[choice.dest]
                commands += [(f"{choice.dest} {_term(one)}", one.help or "") for one in below._actions if one.dest != "help"]
        else:
            options.append((_term(action), (action.help or "") % {"default": action.default}))
    usage = " ".join(parser.format_usage().split()).removeprefix("usage: ")
    summary = (parser.description or program).partition(".")[0].removeprefix("MIG's ")
    files = list(FILES.get(program, {}).items())
    sections = {"DESCRIPTION": [("", parser.description or "")], "OPTIONS": options, "COMMANDS": commands, "FILES": files}
    return Page(program, summary, usage, sections)


def _term(action: argparse.Action) -> str:
    words = ", ".join(action.option_strings) or action.dest
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return words if action.nargs == 0 or not action.option_strings else f"{words} {value}"


def _typer_pages(program: str, app: typer.Typer) -> Iterator[Page]:
    root = typer.main.get_command(app)
    context = typer.Context(root, info_name=program)
    if not hasattr(root, "list_commands"):
        yield _command_page(program, root, context)
        return
    names = root.list_commands(context)
    found = {name: root.get_command(context, name) for name in names}
    rows = [(name, command.get_short_help_str(200)) for name, command in found.items() if command]
    below = [f"{program}-{name}" for name, command in found.items() if command]
    page = _command_page(program, root, context)
    yield Page(program, page.summary, page.synopsis, {**page.sections, "COMMANDS": rows}, below)
    for name, command in found.items():
        if command:
            yield _command_page(f"{program}-{name}", command, typer.Context(command, info_name=name, parent=context), program)


def _command_page(name: str, command: Any, context: typer.Context, see: str = "") -> Page:
    help_text = re.sub(r"\s+", " ", (command.help or "").replace("\b", "")).strip()
    sections: dict[str, list[tuple[str, str]]] = {"DESCRIPTION": [("", help_text)] if help_text else []}
    sections["OPTIONS"] = _records(command, context)
    if hasattr(command, "list_commands"):
        rows = []
        for one in command.list_commands(context):
            below = command.get_command(context, one)
            if below is None:
                continue
            inner = typer.Context(below, info_name=one, parent=context)
            usage = " ".join(below.collect_usage_pieces(inner)).replace("[OPTIONS]", "").strip()
            rows.append((f"{one} {usage}".strip(), below.get_short_help_str(300)))
            rows += [(f"{one} {term}", meaning) for term, meaning in _records(below, inner) if "--help" not in term]
        sections["COMMANDS"] = rows
    if not see:
        sections["FILES"] = list(FILES.get(name, {}).items())
    summary = command.get_short_help_str(120).rstrip(".") or name
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    return Page(name, summary, usage, sections, [see] if see else [], "1mig" if see else "1")


def _records(command: Any, context: typer.Context) -> list[tuple[str, str]]:
    return [record for one in command.get_params(context) if (record := one.get_help_record(context))]
