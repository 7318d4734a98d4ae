"""Key files as they come from elsewhere: made by commands of gpg that MIG never gives, or written byte by byte."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.domain.envelope import Signature
from mig_core.domain.ids import Fingerprint
from mig_core.pgp.home import private_home, short_home
from mig_core.pgp.packets import SIGNATURE, Packet, read_packets

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_SUBKEY_BINDING = 0x18
_EMBEDDED_SIGNATURE = 32


@dataclass(frozen=True, slots=True)
class OddKeys:
    """A GnuPG home of a test's own. Whoever makes it ends its gpg-agent."""

    home: Path

    @classmethod
    def in_folder(cls, home: Path) -> OddKeys:
        """An empty home, made private."""
        return cls(private_home(home))

    def gpg(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What gpg prints.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        command = ["gpg", "--homedir", str(short_home(self.home)), "--batch", "--no-tty", "--pinentry-mode=loopback"]
        return subprocess.run(
            [*command, "--passphrase=", *arguments], input=stdin, capture_output=True, check=True
        ).stdout

    def made(self, name: str, *options: str, usage: str = "sign", at: datetime | None = None) -> Fingerprint:
        """A new ed25519 key, perhaps made at another time by gpg's clock."""
        if at is not None:
            options = (*options, f"--faked-system-time={at:%Y%m%dT%H%M%S}!")
        said = self.gpg(*options, "--status-fd=1", "--quick-gen-key", f"{name} <{name}@e.org>", "ed25519", usage, "0")
        return Fingerprint(said.decode("ascii").split("KEY_CREATED", 1)[1].split()[1])

    def public(self, fingerprint: Fingerprint) -> bytes:
        """The key, binary."""
        return self.gpg("--export", fingerprint)

    def signature(self, fingerprint: Fingerprint, data: bytes, *options: str) -> Signature:
        """A detached signature."""
        return Signature(fingerprint, self.gpg(*options, f"--local-user={fingerprint}", "--detach-sign", stdin=data))

    def name_revoker(self, fingerprint: Fingerprint, revoker: Fingerprint) -> None:
        """Lets another key revoke this one."""
        self._dialogue(f"addrevoker\n{revoker}\ny\nsave\n", "--edit-key", fingerprint)

    def revoked_by_revoker(self, fingerprint: Fingerprint) -> bytes:
        """The key as its designated revoker's revocation has it, armored; the home's own copy stays as it is."""
        file = self.home / f"{fingerprint}.desig"
        self._dialogue("y\n0\n\ny\n", "--output", str(file), "--desig-revoke", fingerprint)
        return file.read_bytes()

    def _dialogue(self, answers: str, *arguments: str) -> None:
        command = ["gpg", "--homedir", str(short_home(self.home)), "--no-tty", "--pinentry-mode=loopback"]
        subprocess.run(
            [*command, "--passphrase=", "--command-fd=0", "--status-fd=2", *arguments],
            input=answers.encode("ascii"),
            capture_output=True,
            check=True,
        )


def packet(tag: int, body: bytes) -> bytes:
    """A packet with the new form of length (RFC 9580 section 4.2.1)."""
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def bare_key(*, version: int, algorithm: int, created: int) -> bytes:
    """A public key packet with 32 bytes of key material and nothing around it."""
    material = bytes(range(32))
    length = len(material).to_bytes(4, "big") if version > 4 else b""
    return packet(6, bytes([version]) + created.to_bytes(4, "big") + bytes([algorithm]) + length + material)


def without_back_signature(key: bytes) -> bytes:
    """The key with subkeys that do not vouch for it, as other programs once made them."""
    return b"".join(_stripped(one) for one in read_packets(key))


def _stripped(one: Packet) -> bytes:
    body = one.body
    if one.tag != SIGNATURE or body[1] != _SUBKEY_BINDING:
        return one.raw
    start = 6 + int.from_bytes(body[4:6], "big")
    end = start + 2 + int.from_bytes(body[start : start + 2], "big")
    area, kept, at = body[start + 2 : end], b"", 0
    while at < len(area):
        whole = area[at : at + 1 + area[at]]
        kept += whole if whole[1] & 0x7F != _EMBEDDED_SIGNATURE else b""
        at += len(whole)
    return packet(SIGNATURE, body[:start] + len(kept).to_bytes(2, "big") + kept + body[end:])
