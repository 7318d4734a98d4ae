"""Where a system keeps what starts by itself or gets into other programs: a list that is data, and its loader.

``place`` reads the list that lies beside it, each entry with its source. Modules look there, and whoever watches files
watches there.
"""
