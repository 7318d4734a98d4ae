"""Units as systemd itself resolves them, from files alone (systemd.unit(5); what 252 and 257 were seen to do).

``names`` knows what a unit may be called, ``unit_file`` reads settings, ``scope`` finds fragment, aliases, drop-ins and
dependency links of a unit along the search path, ``state`` says what ``systemctl is-enabled`` does, ``starting`` what
pulls a unit in, ``units`` makes entries of it all.
"""
