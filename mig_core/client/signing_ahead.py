"""Signing in a process that is forked as soon as a question is begun, so that two processors start ``mig`` at once.

What signs (python-gnupg with what it imports) takes as long to import as the question takes to be read. The process
imports it meanwhile, waits for the envelope, has it signed as :class:`~mig_core.pgp.signer.GnupgSigner` does, answers,
and ends. It signs once; what else is to be signed is signed here. It ends too when this process does.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mig_core.errors import ConfigurationError, SignatureInvalid

if TYPE_CHECKING:
    from mig_core.domain.envelope import Envelope
    from mig_core.domain.ids import Fingerprint
    from mig_core.pgp.base import Signer

_PIECE = 1 << 16


class SigningProcess:
    """The process. Begin it before there are threads."""

    def __init__(self) -> None:
        asked, self._ask = os.pipe2(os.O_CLOEXEC)
        self._answered, answer = os.pipe2(os.O_CLOEXEC)
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._ask)
            os.close(self._answered)
            _serve(asked, answer)
        os.close(asked)
        os.close(answer)

    def sign(self, envelope: Envelope, fingerprint: Fingerprint, home: Path | None) -> Envelope | None:
        """The envelope with the signature; None: the process could do nothing, which says nothing about the key.

        Raises:
            SignatureInvalid: the key cannot sign.
            ConfigurationError: gpg cannot be used.
        """
        wish = {
            "fingerprint": fingerprint,
            "home": None if home is None else str(home),
            "type": envelope.payload_type,
            "payload": base64.b64encode(envelope.payload).decode("ascii"),
        }
        try:
            with os.fdopen(self._ask, "wb") as pipe:
                pipe.write(json.dumps(wish).encode("ascii"))
            with os.fdopen(self._answered, "rb") as pipe:
                said: dict[str, Any] = json.loads(pipe.read())
        except (OSError, ValueError):
            return None
        match said:
            case {"signature": str(signature)}:
                from mig_core.domain.envelope import Signature

                return envelope.with_signature(Signature(fingerprint, base64.b64decode(signature)))
            case {"signer": str(keyid), "problem": str(problem), "next_step": str(next_step)}:
                raise SignatureInvalid(keyid, problem, next_step=next_step)
            case {"source": str(source), "key": str(key), "problem": str(problem), "next_step": str(next_step)}:
                raise ConfigurationError(source, key, problem, next_step=next_step)
            case _:
                return None

    def end(self) -> None:
        """Ends it, if it has not ended; harmless a second time."""
        if self._pid:
            pid, self._pid = self._pid, 0
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


_begun: list[SigningProcess] = []
_used: list[SigningProcess] = []


def begin() -> None:
    """Begins the process, where a second processor makes it worth while."""
    if len(os.sched_getaffinity(0)) > 1:
        with contextlib.suppress(OSError):  # then it is signed here
            _begun.append(SigningProcess())
            atexit.register(settle, everything=True)


def settle(*, everything: bool = False) -> None:
    """Takes note of the end of a process that has signed, and with ``everything`` ends one that was not used."""
    for one in (*_used, *(_begun if everything else ())):
        one.end()
    _used.clear()


class SignerAhead:
    """A :class:`~mig_core.pgp.base.Signer` that leaves its first signature to the process, where one was begun."""

    def __init__(self, fingerprint: Fingerprint, home: Path | None) -> None:
        self._fingerprint = fingerprint
        self._home = home

    @property
    def fingerprint(self) -> Fingerprint:
        """The primary fingerprint."""
        return self._fingerprint

    def sign(self, envelope: Envelope) -> Envelope:
        """See :meth:`mig_core.pgp.base.Signer.sign`."""
        if _begun:
            process = _begun.pop()
            _used.append(process)
            signed = process.sign(envelope, self._fingerprint, self._home)
            if signed is not None:
                return signed
        return self._here().sign(envelope)

    def public_key(self) -> bytes:
        """See :meth:`mig_core.pgp.base.Signer.public_key`."""
        return self._here().public_key()

    def _here(self) -> Signer:
        return _signer(self._fingerprint, self._home)


def _signer(fingerprint: str, home: Path | None) -> Signer:
    from mig_core.pgp.signer import GnupgSigner  # without what verifies

    return GnupgSigner(fingerprint, home)


def _serve(asked: int, answer: int) -> NoReturn:
    try:
        said = b""
        with contextlib.suppress(Exception):  # whatever fails here is tried once more by who asked
            said = _answer(asked)
        while said:
            said = said[os.write(answer, said) :]
        os.close(answer)
    finally:
        os._exit(0)


def _answer(asked: int) -> bytes:
    import mig_core.pgp.signer  # noqa: F401  what takes so long
    from mig_core.domain.envelope import Envelope

    # What is printed here belongs to nobody; standard error says which terminal gpg-agent asks at.
    with open(os.devnull, "r+b", buffering=0) as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    pieces = []
    while piece := os.read(asked, _PIECE):
        pieces.append(piece)
    wish: dict[str, Any] = json.loads(b"".join(pieces))
    signer = _signer(wish["fingerprint"], None if wish["home"] is None else Path(wish["home"]))
    try:
        signed = signer.sign(Envelope(wish["type"], base64.b64decode(wish["payload"])))
    except SignatureInvalid as error:
        said = {"signer": error.keyid, "problem": error.problem, "next_step": error.next_step}
    except ConfigurationError as error:
        said = {"source": error.source, "key": error.key, "problem": error.problem, "next_step": error.next_step}
    else:
        said = {"signature": base64.b64encode(signed.signatures[-1].sig).decode("ascii")}
    return json.dumps(said).encode("ascii")
