"""The `netstat` module: who listens and who talks to whom, in every network namespace, and who holds the sockets.

``module`` is what the entry point names, ``declaration`` its columns and options. Sockets: ``sockets`` puts together
what ``diag`` (the kernel's sock_diag) or ``procnet`` (/proc/net) say in each of the ``namespaces``, each socket a
``socket_record``; ``handlers`` says which of the two may be asked, ``holders`` who has them open. The rest:
``routing`` (through pyroute2; ``proxied`` neighbours without it), ``names`` (resolvers, hosts), ``firewall``. Of that
``nft_attributes`` reads the kernel's bytes, ``nft_values`` writes values and keys of sets, and ``rule_text`` words a
rule: what its ``rule_registers`` hold comes from ``rule_headers`` or ``rule_sources``; ``rule_statements`` do
something, and ``rule_iptables`` are iptables' own matches.
``classic`` is the original module's six questions, on the same ground.
"""

from mig_netstat.module import NetstatModule

__all__ = ["NetstatModule"]
