"""Settings: TOML and environment to frozen dataclasses, one class a role. An error names file and key.

``loader`` reads; ``agent``, ``server`` and ``client`` say what can be set.
"""
