"""How what is run is found in a file, a form of file each; ``table`` says which name of a place means which.

``reading`` is what they share. ``scripts`` are run themselves; ``init`` knows what boots without systemd, ``loader``
what the dynamic loader and environments put into programs, ``authentication`` PAM, NSS and SSH, ``kernel`` modules,
helpers and formats, ``storage`` mounts, ``udev`` rules, ``desktop`` D-Bus and sessions, ``hooks`` and ``callers``
programs that call others, ``sources`` where packages come from, ``languages`` Python and git, ``containers`` what
restarts with their engine.
"""
