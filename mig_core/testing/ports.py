"""A port for a server that a test starts as a program of its own, which is told where to listen."""

from mig_core.relay.private_rabbitmq import free_port

__all__ = ["free_port"]
