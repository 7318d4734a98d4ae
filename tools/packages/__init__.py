"""The deb and rpm packages: ``contents`` says what each holds, ``environment`` makes a Python environment below /opt/mig,
``manual`` and ``completions`` write what belongs to programs, ``nfpm`` makes the files, ``program`` does it in order.
"""
