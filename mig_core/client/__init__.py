"""The REST client that command line, console, demonstration and tests share.

Sync and thread-safe. ``transport`` is the only importer of urllib3; ``session`` logs in; ``client`` has a method for
every route an investigator may call; ``follow`` hears of an action's answers as they come; ``compose`` and
``action_file`` make actions to be signed; ``proofs`` checks answers against what agents signed.
"""
