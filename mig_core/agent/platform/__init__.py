"""The agent's dealings with the platform.

``facts`` is what it says about itself, ``enrolment`` introduces it, ``given`` is what that gave it, ``host_tags`` what
its host gives it, ``heartbeat`` says that it lives, ``connector`` opens the relay and knows when to try again.
``machine`` says whether the state directory is this machine's.
"""
