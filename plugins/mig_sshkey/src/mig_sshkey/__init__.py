"""The `sshkey` module: which SSH keys lie on an endpoint, with their fingerprints.

``module`` is what the entry point names. ``keyfile`` tells what a file is and hands it to those who know its form:
``private`` (OpenSSH's own, PEM, PKCS#8, over ``der``), ``putty``, ``public`` (blocks; ``armor`` finds where one ends),
and :mod:`mig_endpoint.ssh` (a key in a line, authorized_keys and known_hosts). All of them give a blob, the wire form
of a public key, from which fingerprints come.
"""

from mig_sshkey.module import SshkeyModule

__all__ = ["SshkeyModule"]
