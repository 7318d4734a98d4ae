"""The test kit of what looks at endpoints. Needs pytest.

``targets`` has real processes to be looked at, ``served`` a file system that can stop answering, ``containers`` a
process with such a one among mounts of its own, ``privileges`` ways to look with less than root has, ``systems`` a
system's files below a directory.
"""
