"""Alerts of persistent modules, on their way to the module that forwards them.

``batches`` and ``window`` are the source's side (in the module's process), ``lines`` the form on the pipe, ``queue``
and ``route`` the supervisor's side, ``copies`` what detectors are given, ``held`` what only the agent has, on disk;
``module_log`` is where alerts and lines go that no module takes.
"""
