"""Relays: what carries commands to agents and answers back. ``base`` says what a relay does; one file a driver."""
