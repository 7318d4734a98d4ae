"""Processes of an endpoint, for every module that asks about them. Source: proc(5) and the kernel files named beside
each name.

``proc`` is /proc itself: who is there, also behind mounts; ``visit`` looks at processes one after the other for any
number of consumers in one walk, and books what could not be looked at; ``rounds`` goes on with those that start or
become another program meanwhile. ``process`` is one of them, held so that its id cannot come to mean another: what it
runs (``executable``), what the kernel says about it (``stat``), in which container (``container``), which files and
sockets it has open (``descriptors``), what it has mapped (``mappings``); each is a ``fact`` that is asked once.
``memory`` reads what it has in memory without making it grow: ``pages`` says which pages are there, ``origins`` what
a mapping is of, ``mapped_file`` the way to a mapped file, ``holes`` which parts of that exist, ``swap`` how much may
be brought back; ``scan`` lets a window of the module's look at the part of it that a ``plan`` says. ``askers`` knows
who handles the question, ``reasons`` says why something was not looked at.

Nothing here stops, changes or enlarges a process.
"""
