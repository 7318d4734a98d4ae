"""Where packages lie on an endpoint, or on a system whose file system is mounted at some directory of it.

``site`` is what a look at one system needs (its file system, the tally, the clock); ``tree`` reads below a root without
leaving it, and lists a ``folder``. ``accounts`` knows whose home directories there are, ``homes`` where language
packages lie; ``search`` looks there and, with ``walk``, elsewhere; ``caches`` tells copies from what is installed,
``file_owners`` (with ``rpm_owners``) which package owns a file, ``file_contents`` whether it is still as that brought
it, ``mounts`` this system's own storage from the network's, ``zipped`` reads packed packages, ``versions`` compares by
each package manager's rules; ``reasons`` says why something was left out.
"""
