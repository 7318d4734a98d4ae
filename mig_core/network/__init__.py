"""What everyone who talks over a network has in common: relays, client, scheduler, store, modules that send.

``backoff`` says when to try again, ``certificates`` until when one is good, ``connections`` sees the sockets under
urllib3's pools, ``proxies`` knows what the environment says about proxies, ``numbers_server`` tells Prometheus. Modules
reach them as :mod:`mig_core.plugin.network`.
"""
