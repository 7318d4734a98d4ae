"""The `pkg` module: finds installed packages by name and version.

``module`` is what the entry point names. From there down: ``declaration`` (parameters) and ``request`` (their typed
form, with ``condition`` and ``patterns``) say what is asked. ``inventory`` knows the sources, each of which declares
itself as a ``source`` and gives each ``package``, read through :mod:`mig_endpoint.packages` (and ``program``):

* ``dpkg`` (``status_file``, ``status_list``), ``opkg``, ``apk``, all with ``records``; ``rpm`` (``rpm_files``,
  ``rpm_header``), ``pacman``, ``snap``, ``flatpak``, ``chisel``; those that are not read are in ``unread``
* ``python_packages`` (``zip_apps``), ``npm_packages`` (``plug_and_play``, ``loose_json``), ``gems``, ``conda``;
  ``wheel_sboms``, ``lock_files`` with ``locks``
* ``executables``: ``go_build`` and ``cargo_audit``, read with ``elf``, ``cargo_installs``; ``jars``

``selection`` keeps what matches, ``reasons`` says why something could not be looked at, ``columns`` are the answer's
and ``lines`` prints it.
"""

from mig_pkg.module import PkgModule

__all__ = ["PkgModule"]
