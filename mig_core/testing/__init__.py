"""The exported test kit: contracts that third parties subclass, and fixtures for real servers and keys.

Import from the submodules (``mig_core.testing.module_contract``…); this file imports nothing, so that no test pays for
another's needs.
"""
