"""Modules that run all the time.

``plan`` says which, ``supervisor`` runs them in one thread: a ``record`` a module, a ``supervised`` a process,
``timing`` its patience, ``socket_folder`` where their sockets are. The module's side: ``child``, ``service``, and
``question_socket``, where operations ask the live process.
"""
