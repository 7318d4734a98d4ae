"""Measurements of the audit module. Each file says at its head how to run it; ``docs/modules/audit.md`` has figures."""
