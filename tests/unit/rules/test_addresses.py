"""Which addresses are the internet."""

import pytest

from app.rules.addresses import Fence
from app.settings import Settings

INSIDE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.1", "198.18.0.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254"),
    *("ff02::1", "ff0e::1", "fec0::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe"),
    *(
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "::ffff:0:a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "::127.0.0.1",
    ),
]
OUTSIDE = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_inside_is_not_connected_to(address: str) -> None:
    assert not Fence().lets(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_internet_is(address: str) -> None:
    assert Fence().lets(address)
    assert Fence(Settings.model_fields["egress_except"].default).lets(address)


def test_ranges_of_the_installation() -> None:
    fence = Fence(["1.1.1.0/24"], ["10.1.2.0/24", "fd00::/64"])
    assert not fence.lets("1.1.1.1")
    assert fence.lets("10.1.2.3")
    assert fence.lets("::ffff:10.1.2.3")
    assert fence.lets("fd00::5")
    assert not fence.lets("10.1.3.1")
    with pytest.raises(ValueError):
        fence.lets("ops.example.org")
