"""The declared parameters of ``file``: what mig, mig-api and the agent check, offer and explain.

``search`` turns the checked values into a :class:`mig_endpoint.finding.search.Search`.
"""

from __future__ import annotations

from mig_core.plugin.parameters import Kind, Parameter, Parameters, Switch
from mig_endpoint.files import digests
from mig_endpoint.finding import expressions, known, patterns

MISMATCHES = (
    *("name", "size", "mode", "mtime", "content", "md5", "sha1", "sha2", "sha3"),
    *("type", "ctime", "btime", "owner", "group", "xattr", "capability"),
)
TYPES = ("f", "d", "l", "s", "p", "b", "c")
MAX_LABEL = 64
MAX_ACCOUNT = 256
LARGEST_ID = (1 << 32) - 1


def _check_label(label: str) -> None:
    if not label:
        raise ValueError("has an empty label")
    if len(label) > MAX_LABEL or "\n" in label:
        raise ValueError(f"label {label!r:.80} must have 1 to {MAX_LABEL} characters and no line break")
    _check_text(label)


def _check_text(text: str) -> None:
    text.encode()  # a lone surrogate cannot be sent on; UnicodeEncodeError is a ValueError


def _check_path(path: str) -> None:
    if not path:
        raise ValueError("is empty")
    if "\0" in path:
        raise ValueError("contains a NUL character, which no path can")
    path.encode("utf-8", "surrogateescape")
    if "**" in path:
        raise ValueError("'**' is not supported: a directory is looked at with all below it; name it, and use 'name'")


def _check_regex(value: str) -> None:
    _check_text(value)
    patterns.check_pattern(value[1:] if len(value) > 1 and value.startswith("!") else value)


def _check_account(value: str) -> None:
    name = value[1:] if len(value) > 1 and value.startswith("!") else value
    if not name or len(name) > MAX_ACCOUNT or not name.isprintable() or any(one in name for one in ":/ "):
        raise ValueError(f"{value!r:.60} is not the name or number of an account")
    if name.isdigit() and int(name) > LARGEST_ID:
        raise ValueError(f"{value!r:.60} is larger than any id")
    _check_text(value)


def _hash(name: str) -> Parameter:
    lengths = ", ".join(str(digits) for digits in digests.ALGORITHMS[name])
    return Parameter(
        name=name,
        key=name,
        many=True,
        metavar="HEX",
        max_length=128,
        check=lambda value: digests.algorithm_of(name, value),
        help=f"{name.upper()} of the file in hexadecimal ({lengths} digits)",
    )


PARAMETERS = Parameters(
    Parameter(
        name="description",
        key="description",
        max_length=1024,
        check=_check_text,
        cli=False,
        help="free text that comes back with the answer",
    ),
    Parameter(
        name="path",
        key="paths",
        many=True,
        required=True,
        metavar="PATH",
        check=_check_path,
        help="where to look: a directory with all below it, or one file; * ? [ ] and ~ (every home) are expanded there",
    ),
    Parameter(
        name="name",
        key="names",
        many=True,
        metavar="REGEX",
        check=_check_regex,
        help="regular expression on the file's name; a leading ! inverts it",
    ),
    Parameter(
        name="content",
        key="contents",
        many=True,
        metavar="REGEX",
        check=_check_regex,
        help="regular expression on the file's lines; a leading ! inverts it",
    ),
    Parameter(
        name="size",
        key="sizes",
        many=True,
        metavar="SIZE",
        check=expressions.parse_size,
        help="size in bytes or with k, m, g, t: <100k at most, >1m at least, 42 exactly",
    ),
    Parameter(
        name="mode",
        key="modes",
        many=True,
        metavar="REGEX",
        check=_check_regex,
        help="regular expression on the mode's text such as -rw-r--r-- or urwxr-xr-x; a leading ! inverts it",
    ),
    Parameter(
        name="mtime",
        key="mtimes",
        many=True,
        metavar="AGE",
        check=expressions.parse_age,
        help="last change in days, hours or minutes: <2d within two days, >12h before that",
    ),
    Parameter(
        name="ctime",
        key="ctimes",
        many=True,
        metavar="AGE",
        check=expressions.parse_age,
        help="last change of content, mode, owner or name, written as for mtime; no program can set it",
    ),
    Parameter(
        name="btime",
        key="btimes",
        many=True,
        metavar="AGE",
        check=expressions.parse_age,
        help="when it was made, written as for mtime, where the file system keeps that",
    ),
    Parameter(
        name="owner",
        key="owners",
        many=True,
        metavar="USER",
        check=_check_account,
        help="user that owns it, a name or a number; several mean any of them; a leading ! inverts it",
    ),
    Parameter(
        name="group",
        key="groups",
        many=True,
        metavar="GROUP",
        check=_check_account,
        help="group that owns it, a name or a number; several mean any of them; a leading ! inverts it",
    ),
    Parameter(
        name="xattr",
        key="xattrs",
        many=True,
        metavar="REGEX",
        check=_check_regex,
        help="regular expression on an extended attribute as name=value; a leading ! inverts it",
    ),
    Parameter(
        name="capability",
        key="capabilities",
        many=True,
        metavar="REGEX",
        check=_check_regex,
        help="regular expression on the capabilities as getcap writes them (cap_net_raw=ep); a leading ! inverts it",
    ),
    Parameter(
        name="type",
        key="types",
        many=True,
        choices=TYPES,
        metavar="LETTER",
        help="kind of entry: file, directory, link, socket, pipe, block or character device; several mean any of them",
    ),
    _hash("md5"),
    _hash("sha1"),
    _hash("sha2"),
    _hash("sha3"),
    Parameter(
        name="hashes",
        key="hashes",
        many=True,
        metavar="LIST",
        max_length=known.MAX_ENTRY,
        check=known.check,
        help="known files, any of which will do: HASH, HASH:SIZE, or thousands in one, as sha256=BASE64",
    ),
    Parameter(
        name="maxdepth",
        key="maxdepth",
        kind=Kind.INTEGER,
        group="options",
        minimum=0,
        maximum=1 << 53,
        cli_default=0,
        metavar="N",
        help="how deep to go, 1 being the files of the path itself; 0 is no limit",
    ),
    Parameter(
        name="maxerrors",
        key="maxerrors",
        kind=Kind.INTEGER,
        group="options",
        minimum=0,
        maximum=1 << 53,
        cli_default=30,
        metavar="N",
        help="how many errors to return; 0 is all",
    ),
    Parameter(
        name="matchlimit",
        key="matchlimit",
        kind=Kind.INTEGER,
        group="options",
        minimum=0,
        maximum=1 << 53,
        cli_default=1000,
        metavar="N",
        help="how many matches to return; 0 is all",
    ),
    Parameter(
        name="matchall",
        key="matchall",
        kind=Kind.BOOLEAN,
        group="options",
        cli_default=True,
        help="a file must pass every filter",
    ),
    Switch(name="matchany", sets="matchall", value=False, help="a file must pass any one filter; wins over matchall"),
    Parameter(
        name="macroal",
        key="macroal",
        kind=Kind.BOOLEAN,
        group="options",
        help="every line must match each content expression, instead of any line",
    ),
    Parameter(
        name="mismatch",
        key="mismatch",
        many=True,
        choices=MISMATCHES,
        group="options",
        metavar="FILTER",
        help="the filters of this kind must fail instead of pass",
    ),
    Parameter(
        name="returnsha256",
        key="returnsha256",
        kind=Kind.BOOLEAN,
        group="options",
        help="return the SHA-256 of each matching file",
    ),
    Parameter(
        name="decompress",
        key="decompress",
        kind=Kind.BOOLEAN,
        group="options",
        help="look into gzip files for content and hashes",
    ),
    Parameter(
        name="decompressall",
        key="decompressall",
        kind=Kind.BOOLEAN,
        group="options",
        help="look into gzip, bzip2, xz and (where the endpoint can) zstd files for content and hashes",
    ),
    Parameter(
        name="archives",
        key="archives",
        kind=Kind.BOOLEAN,
        group="options",
        help="look for members of zip (jar, war, whl) and tar files too, by name, size, mtime, mode and type",
    ),
    Parameter(
        name="onefilesystem",
        key="onefilesystem",
        kind=Kind.BOOLEAN,
        group="options",
        help="do not go into other file systems mounted below a path",
    ),
    Parameter(
        name="localonly",
        key="localonly",
        kind=Kind.BOOLEAN,
        group="options",
        help="do not go into network file systems",
    ),
    Parameter(
        name="remotefs",
        key="remotefs",
        kind=Kind.BOOLEAN,
        group="options",
        cli=False,
        help="accepted for old action files and without effect; see localonly",
    ),
    Parameter(
        name="debug",
        key="debug",
        group="options",
        max_length=20,
        check=_check_text,
        cli=False,
        help="accepted for old action files and without effect",
    ),
    Switch(
        name="verbose",
        sets="debug",
        value="print",
        help="accepted for old command lines and without effect",
    ),
    label="searches",
    check_label=_check_label,
)
