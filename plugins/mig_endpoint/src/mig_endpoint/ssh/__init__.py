"""SSH's keys as they lie in files, for modules that say which there are and whom they let in.

``blob`` is the wire form of a public key, with its fingerprints; ``line`` a key in one line; ``authorized`` the entries
of authorized_keys and known_hosts.
"""
