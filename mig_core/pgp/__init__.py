"""OpenPGP: investigators' keys and signatures. ``base`` says what is needed, ``gnupg`` is all of it that others use.

``keyring`` verifies: with the keys of ``certificates`` that ``selection`` lets in, by a ``verification`` that may have
been begun ahead, and a ``verdict`` on what gpg says.
``signer`` signs. Both run ``gnupg_program`` in a ``home``. ``packets`` and ``signature_packet`` take OpenPGP's bytes
apart.
"""
