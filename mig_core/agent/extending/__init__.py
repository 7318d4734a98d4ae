"""``mig-agent plugins``: plugins that are added to an installed agent, and survive an upgrade of its package.

They lie in a place of their own beside the agent's environment (``place``), whose distributions are never touched: what
is missing is found out and fetched by pip (``fetching``), is tried in a process of its own (``trying``), and only then
the place is exchanged as a whole. ``command`` is what people type. A running agent notices by itself.
"""
