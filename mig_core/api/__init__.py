"""mig-api: the REST API for investigators and the ``https`` relay for agents.

``app`` turns :mod:`.exchange`'s calls and replies into HTTP with falcon (its only importer), ``main`` puts everything
together and runs uvicorn as ``server`` has it; ``usable`` tries settings before they are used. Resources are split by
noun; each declares its routes once, and authentication, limits and the OpenAPI document come from that declaration.
asyncio, one process, one thread, apart from OpenPGP, which runs in worker threads.
"""
