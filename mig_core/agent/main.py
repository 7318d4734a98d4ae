"""``mig-agent``: the program. Without arguments it is the daemon.

Exit status: 0 done (with ``-m`` also when the module failed: the result says so), 1 an error or a broken ledger, 2
usage.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mig_core.config.agent import AgentSettings

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
DEFAULT_FILE = Path("/etc/mig/agent.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) == 2 and words[0] == "-m":
        # The common call of other programs, without the 15 ms that argparse costs.
        return _run_module(words[1], as_lines=False, mask=False)
    if len(words) == 2 and words[0] == "-P":
        _run_persistent(words[1])
    options = make_parser().parse_args(words)
    from mig_core.errors import MigError

    try:
        return _dispatch(options)
    except MigError as error:
        sys.stderr.write(f"mig-agent: {error.diagnostics()}\n")
        return EXIT_ERROR
    except KeyboardInterrupt:
        return 130


def _dispatch(options: argparse.Namespace) -> int:
    status = _without_settings(options)
    if status is not None:
        return status
    settings = _settings(options)
    if options.check:
        from mig_core.agent.check_setup import check_setup
        from mig_core.soundness import leave, seconds_left, tell

        seen = check_setup(settings, _settings_file(options), seconds=seconds_left(options.within))
        return leave(EXIT_OK if tell("mig-agent", seen, sys.stdout) else EXIT_ERROR, seen)
    if options.command == "log":
        from mig_core.agent.records.opening import LEDGER
        from mig_core.agent.records.show_ledger import show_ledger

        whole = show_ledger(settings.state / LEDGER, as_json=options.json, out=sys.stdout, err=sys.stderr)
        return EXIT_OK if whole else EXIT_ERROR
    if options.command == "prepare-image":
        return _prepare_image(settings)
    if options.command == "journal":
        return _journal(settings, go_on=options.go_on)
    from mig_core.dumps import forbid_dumps

    forbid_dumps()
    _start_logging(settings)
    if options.command == "id":
        return _show_id(settings)
    if options.command == "enrol":
        return _enrol(settings)
    from mig_core.agent.daemon import run_daemon

    if run_daemon(settings, _settings_file(options)):
        # With new settings, and everything anew: nothing is forgotten in an agent that was put together once.
        from mig_core.renewal import begin_again

        begin_again()
    return EXIT_OK


def _without_settings(options: argparse.Namespace) -> int | None:
    """What needs no settings; None if it was something else."""
    if options.version:
        from mig_core.agent.operations.environment import installed_version

        sys.stdout.write(f"mig-agent {installed_version()}\n")
        return EXIT_OK
    if options.module is not None:
        mask = options.config is not None and _settings(options).modules.extra_privacy
        return _run_module(options.module, as_lines=options.lines, mask=mask)
    if options.persistent is not None:
        _run_persistent(options.persistent)
    if options.command == "plugins":
        from mig_core.agent.extending.command import run

        words = [options.verb, *getattr(options, "names", ())]
        return EXIT_OK if run(words, as_json=getattr(options, "json", False), out=sys.stdout) else EXIT_ERROR
    return None


def _prepare_image(settings: AgentSettings) -> int:
    from mig_core.agent.state_directory import prepare_image

    enrolled = prepare_image(settings)
    if enrolled:
        sys.stderr.write(f"an agent had enrolled here; nobody is it any more: mig agent retire {enrolled}\n")
    sys.stderr.write(f"{settings.state} is empty: each machine made from this image has an agent of its own\n")
    return EXIT_OK


def _journal(settings: AgentSettings, *, go_on: bool) -> int:
    from mig_core.agent.records.journal_standing import show_journal, tell_to_go_on
    from mig_core.agent.records.opening import JOURNAL

    path = settings.state / JOURNAL
    if go_on:
        tell_to_go_on(path, out=sys.stdout)
        return EXIT_OK
    return EXIT_OK if show_journal(path, out=sys.stdout) else EXIT_ERROR


def _run_module(name: str, *, as_lines: bool, mask: bool) -> int:
    from mig_core.agent.operations.one_shot import run_module

    if sys.stdout is None:  # mig-agent -m file >&-
        sys.stderr.write("mig-agent: standard output is closed\n")
        return EXIT_ERROR
    try:
        run_module(name, as_lines=as_lines, source=sys.stdin.buffer, sink=sys.stdout, mask=mask)
    except BrokenPipeError:  # who asked has gone away
        return EXIT_ERROR
    except OSError as error:  # what a module raises is in its result
        sys.stderr.write(f"mig-agent: standard output cannot be written: {error.strerror or error}\n")
        return EXIT_ERROR
    return EXIT_OK


def _run_persistent(name: str) -> NoReturn:
    from mig_core.agent.persistent.child import run_persistent

    run_persistent(name.lower())


def _show_id(settings: AgentSettings) -> int:
    from mig_core.agent.state_directory import made_state, opened_state
    from mig_core.identity import AgentKey

    made_state(settings.state)
    path = settings.state / "agent.key"
    # A key is made as at a start: in no image, and with the mark of the machine that it belongs to.
    with contextlib.nullcontext() if path.exists() else opened_state(settings):
        sys.stdout.write(AgentKey.load_or_create(path).agent_id + "\n")
    return EXIT_OK


def _enrol(settings: AgentSettings) -> int:
    from mig_core.agent.daemon import introduce, make_launcher
    from mig_core.agent.operations.executor import Executor
    from mig_core.agent.state_directory import opened_state

    launcher = make_launcher(settings)
    try:
        with opened_state(settings):
            login = introduce(settings, launcher, Executor(launcher, settings.modules)).enroller.enrol_once()
    finally:
        launcher.close()
    sys.stdout.write(login.state + "\n")
    return EXIT_OK


def _settings(options: argparse.Namespace) -> AgentSettings:
    from mig_core.config.agent import AgentSettings
    from mig_core.config.loader import load_settings

    return load_settings(AgentSettings, role="agent", path=_settings_file(options), environment=os.environ)


def _settings_file(options: argparse.Namespace) -> Path | None:
    named: Path | None = options.config
    return DEFAULT_FILE if named is None and DEFAULT_FILE.exists() else named


def _start_logging(settings: AgentSettings) -> None:
    import logging

    from mig_core.logs import start_logging

    start_logging("agent", settings.log_level, settings.log_format)
    for library in ("gnupg", "urllib3"):
        # What they say below WARNING is about themselves, and gnupg shows the data it is given. What pika says is left
        # to the relay, which translates it.
        logging.getLogger(library).setLevel(logging.WARNING)


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="mig-agent", description="Answers signed questions about this endpoint. Without arguments: as a daemon."
    )
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help=f"settings (default: {DEFAULT_FILE})")
    parser.add_argument(
        "-m", "--module", metavar="MODULE", help="run one module: a message line on standard input, a result out"
    )
    parser.add_argument("-p", "--lines", action="store_true", help="with -m: print lines for people instead of JSON")
    parser.add_argument(
        "-P", "--persistent", metavar="MODULE", help="run one persistent module, as the agent does; not for people"
    )
    parser.add_argument(
        "--check", action="store_true", help="check settings, keys, ACL, modules, disk, clock, API and relay, and end"
    )
    parser.add_argument("--within", type=float, metavar="SECONDS", help="with --check: how long at most")
    parser.add_argument("-V", "--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    log = commands.add_parser("log", help="show what this endpoint was asked and answered, and verify the chain")
    log.add_argument("--json", action="store_true", help="one JSON object a line")
    journal = commands.add_parser("journal", help="show whether the record of what was run here is whole")
    journal.add_argument(
        "--go-on", action="store_true", help="end the doubt after it was lost: old actions may be run a second time"
    )
    commands.add_parser(
        "prepare-image",
        help="empty the state directory for an image of this machine; no agent starts here before the next boot",
    )
    commands.add_parser("id", help="print the agent's id, making its key if there is none")
    commands.add_parser("enrol", help="introduce the agent to the platform once, and print how it stands")
    plugins = commands.add_parser("plugins", help="add plugins to this agent, list and remove what was added")
    verbs = plugins.add_subparsers(dest="verb", metavar="WHAT", required=True)
    adding = verbs.add_parser("add", help="add plugins, each by its name, a requirement, or the path of a wheel")
    adding.add_argument("names", nargs="+", metavar="PLUGIN", help="like mig-plugin-x, mig-plugin-x>=2, ./x.whl")
    removing = verbs.add_parser("remove", help="remove what was added, with what only it needs")
    removing.add_argument("names", nargs="+", metavar="PLUGIN", help="its name")
    listing = verbs.add_parser("list", help="list what was added, and whether it loads")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
