"""Targets of coverage-guided fuzzing. Each file says at its head how to run it; ``tests/test_audit_fuzz.py`` runs each
on its seeds, so that none rots."""
