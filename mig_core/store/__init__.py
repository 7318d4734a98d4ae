"""The books: PostgreSQL, and the only place with SQL.

``base`` says what the store does for API and scheduler; ``postgres`` is the composition of the files that do it: one
a noun (``actions``, ``agents`` with ``enrolling``, ``pending_agents``, ``heartbeats`` and ``retiring``,
``commands`` with ``outbox``, ``enrolment_secrets``, ``investigators``, ``numbers``, ``proposals``, ``relay_queue`` with
``relay_inbound`` and ``relay_tails``, ``wakeups`` with ``notify``), over one ``database``. ``presence`` knows which
schedulers there are.
``fanout`` makes commands of an action with ``target_sql``,
``answers`` records what came back, ``books`` closes commands, ``coalescing`` makes one transaction of many calls.
``rows`` is what the store hands out; ``action_rows`` and ``agent_rows`` make them, ``encoding`` makes our values
PostgreSQL's, ``sqlstates`` its errors ours, ``session_check`` finds what is wrong with a connection,
``examination`` with the database; ``urls`` keeps passwords out of what is said. ``set_aside`` keeps what cannot be
recorded, ``announcements`` says which ends are to be told.
``platform_log`` reads who did what; triggers write it, under whom ``acting`` says. ``answer_rows`` makes rows
of answers, ``answer_diff`` compares them, with
``answer_reading``, ``answer_sql`` and ``row_sql``; ``found_rows`` is what it hands
out.

The schema is ``migrate`` and the numbered files in ``migrations/``; ``roles`` are the accounts of programs.
``embedded`` is a server to run it on where none is at hand.
"""
