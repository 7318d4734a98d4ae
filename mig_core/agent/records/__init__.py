"""What the agent keeps on disk.

* ``opening`` opens all of it. ``spool``: answers waiting for the relay; ``lost_answers``: the last that were given up
* ``journal``: which actions were run here (``journal_state`` what it knows, ``sealed_lines`` its file, ``age`` what it
  takes for the time); ``journal_standing`` shows it
* ``ledger``: the hash-chained log for the machine's owner (``ledger_file`` its segments, ``folding`` what is only
  counted), which ``show_ledger`` prints and verifies; ``witness`` is what the journal hears of it
"""
