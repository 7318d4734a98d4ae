"""What the agent keeps on disk.

``journal``: ids of actions already run. ``spool``: answers waiting for the relay. ``ledger``: the hash-chained log for
the machine's owner, which ``show_ledger`` prints and verifies.
"""
