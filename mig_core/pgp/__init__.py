"""OpenPGP: investigators' keys and signatures. ``base`` says what is needed, ``gnupg`` does it."""
