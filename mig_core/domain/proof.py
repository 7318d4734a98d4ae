"""What an agent signed, kept beside its answer: whoever reads the answer can check it without believing the platform.

Of the envelope only what cannot be made again is kept: the document (compressed, because it repeats itself) and the
signature. The type is always that of a result, and the key's id is the agent's.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.envelope import Envelope, Signature
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from mig_core.domain.ids import AgentId

_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Proof:
    """A signed answer, as it is stored."""

    document: bytes
    """The envelope's payload, compressed (RFC 1950)."""
    signature: bytes

    @classmethod
    def of(cls, envelope: Envelope) -> Proof:
        """What is to be kept of an envelope that was verified: it has one signature, by its agent's key."""
        return cls(zlib.compress(envelope.payload, _LEVEL), envelope.signatures[0].sig)

    def envelope(self, agent: AgentId) -> Envelope:
        """The envelope again, byte for byte as far as the signature covers it.

        Raises:
            InvalidDocument: what is stored is damaged, or was never made by :meth:`of`.
        """
        unpacking = zlib.decompressobj()
        try:
            payload = unpacking.decompress(self.document, envelopes.MAX_RESULT_BYTES)
        except zlib.error as error:
            raise InvalidDocument("signed answer", f"is damaged: {error}") from error
        if not unpacking.eof or unpacking.unused_data:
            raise InvalidDocument("signed answer", "is damaged: it does not end where it should")
        return Envelope(envelopes.RESULT, payload, (Signature(agent, self.signature),))
