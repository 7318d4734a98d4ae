"""The `pkg` module: finds installed packages by name and version.

``module`` is what the entry point names. From there down: ``declaration`` (parameters) and ``request`` (their typed
form, with ``condition`` and ``patterns``) say what is asked; ``inventory`` knows the sources, one file each (``dpkg``,
``rpm``, ``apk``, ``pacman``, ``python_packages``, ``npm_packages``, ``gems``), each a :class:`mig_pkg.source.Source`;
they read through :mod:`mig_endpoint.packages` (and ``program``) and give :class:`mig_pkg.package.Package`;
``selection`` keeps what matches, ``reasons`` says why something could not be looked at, ``versions`` compares and
``lines`` prints.
"""

from mig_pkg.module import PkgModule

__all__ = ["PkgModule"]
