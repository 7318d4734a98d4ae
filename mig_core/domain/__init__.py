"""What MIG talks about: actions, commands, agents, results, envelopes, targets, ACLs.

Standard library only; no input or output, no clock, no randomness: those are passed in.
"""
