"""Simulated agents: real keys, real signatures, real connections to a relay; only the modules are missing.

``agent`` is one agent's documents, ``https_agents`` and ``amqp_agents`` connect it, ``worker`` is a process full of
them, ``workers`` starts such processes.
"""
