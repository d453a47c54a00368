"""Which addresses are the internet: where what tenants name may be connected to."""

import ipaddress
from collections.abc import Sequence

# Translated IPv4, which hides what it leads to; and what the library takes for public though nobody is to have it.
_NEVER = ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10")
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Fence:
    """`but`: ranges that are let through, whatever else holds. `never`: ranges beside what is not the internet."""

    def __init__(self, never: Sequence[str] = (), but: Sequence[str] = ()) -> None:
        self._never = [ipaddress.ip_network(text) for text in (*_NEVER, *never)]
        self._but = [ipaddress.ip_network(text) for text in but]

    def lets(self, text: str) -> bool:
        """`text`: an address, as numbers. Raises ValueError for what is none."""
        address = ipaddress.ip_address(text)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if _within(address, self._but):
            return True
        return address.is_global and not address.is_multicast and not _within(address, self._never)


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: Sequence[_Network]) -> bool:
    return any(address in network for network in networks)
