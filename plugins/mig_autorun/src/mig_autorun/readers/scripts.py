"""Files that are run themselves, sourced, or that only have to be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_autorun.readers.reading import Look, entry_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

_CREDENTIALS = {
    "ssh.authorized_keys.root": "becomes root's authorized keys at each boot",
    "tmpfiles.extra": "more lines of tmpfiles.d",
    "sysctl.extra": "more lines of sysctl.d",
    "sysusers.extra": "more accounts, on a boot after /usr changed",
}


def script(found: Found, look: Look) -> Iterator[Entry]:
    """The file is what is run."""
    if found.file.is_directory:
        return
    named = look.system.tree.named(found.file.real) if found.file.real else found.file.path
    yield entry_of(found, program=named)


def config(found: Found, look: Look) -> Iterator[Entry]:
    """The file says what is run in a form that is not read; that it is there is the answer."""
    if not found.file.is_directory:
        look.system.tally.examined("files not read")
        yield entry_of(found, notes=["not read: named only"])


def credential(found: Found, look: Look) -> Iterator[Entry]:
    """systemd.system-credentials(7); of two with one name the first counts, encrypted folders hold no plain text."""
    if found.file.is_directory:
        return
    note = _CREDENTIALS.get(found.file.name, "into /run/udev at boot")
    if ".encrypted/" in found.file.path:
        head = (look.system.read(found.file) or b"")[:4]
        if found.file.name and not head:
            note = "empty"
    yield entry_of(found, notes=[note])


def extension(found: Found, look: Look) -> Iterator[Entry]:
    """systemd-sysext(8): folders and images that become part of /usr, /opt or /etc."""
    file = found.file
    if not file.is_directory and not file.name.endswith(".raw"):
        return
    kind = "confext" if "/confexts" in file.path else "sysext"
    state = found.state
    if file.is_directory and not state:
        base = "etc" if kind == "confext" else "usr/lib"
        release = f"{file.path}/{base}/extension-release.d/extension-release.{file.name}"
        if look.system.at(release) is None:
            state = "without its release file: not merged"
    yield entry_of(found, key=kind, state=state, enabled=not state)


def package_script(found: Found, _look: Look) -> Iterator[Entry]:
    """deb-postinst(5): the package in the file's name owns it, whatever lists say."""
    package, _, when = found.file.name.rpartition(".")
    yield entry_of(found, package, key=when, program=found.file.path)


def plugin(found: Found, _look: Look) -> Iterator[Entry]:
    """Plugins of dnf, yum and zypper."""
    if not found.file.is_directory:
        is_code = found.file.name.endswith((".py", ".action", ".actions")) or found.file.may_run
        yield entry_of(found, program=found.file.path if is_code else "")
