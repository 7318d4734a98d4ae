"""What zip files (jar, war, whl …) and tar files have in them, by name: nothing is unpacked.

``members`` goes through an archive and those packed in it, each a ``member``; ``zipfiles`` and ``tarfiles`` read one
kind each, over what ``blob`` gives. All of it within bounds, whatever an archive says of itself.
"""
