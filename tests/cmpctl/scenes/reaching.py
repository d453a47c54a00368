"""Into instances: the simulator's have a few programs, a login prompt, HTTP on port 80 and an echo on port 7."""

import re
import socket
from pathlib import Path

from tests.cmpctl.command import Cmpctl, Said

_SMALL = ("--cpu", "0.1", "--memory", "64Mi")


def reading(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    ada("launch", "read", *_SMALL, "-n", "2")
    whole = ada("logs", "read-instance-1").lines
    assert len(whole) >= 3
    assert ada("instances", "logs", "read-instance-1", "--tail", "1", "--since", "1h").lines == whole[2:3]
    stamped = ada("logs", "read-instance-1", "--timestamps", "--tail", "1").out
    assert re.match(r"\d{4}-\d\d-\d\dT\S+Z ", stamped)
    of_both = ada("logs", "read").lines
    assert {line.split(" | ")[0] for line in of_both} == {"read-instance-1", "read-instance-2"}
    assert "previous" in ada("logs", "read-instance-1", "--previous", code=6).err
    ada("logs", "-f", "read-instance-1", until=lambda said: len(said.out.splitlines()) > len(whole))
    assert "is a cluster of 2" in ada("logs", "-f", "read", code=1).err


def running(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    ada("launch", "box", *_SMALL)
    assert ada("exec", "box", "--", "hostname").out == "box-instance-1\n"
    said = ada("instances", "exec", "box-instance-1", "-T", "--", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert (said.out, said.err) == ("out\n", "err\n")
    assert ada("exec", "-i", "box", "cat", input="through\nand back\n").out == "through\nand back\n"
    typed = ada(
        "exec",
        "-t",
        "-i",
        "box",
        input="echo seen\n",
        until=lambda said: "\nseen" in said.out,
        typed="exit 3\n",
        code=3,
    )
    assert "/ # " in typed.out
    ada("launch", "guest", "-t", "vm", *_SMALL)
    assert "cmpctl console" in ada("exec", "guest", code=1).err


def talking(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    ada("launch", "guest", "-t", "vm", *_SMALL)
    prompted = ada("console", "guest", input="\r", until=lambda said: "login: " in said.out, typed="\x1d")
    assert "guest-instance-1 login: " in prompted.out
    assert "Ctrl-] leaves" in prompted.err
    ada("instances", "screenshot", "guest", str(place / "screen.png"))
    assert (place / "screen.png").read_bytes().startswith(b"\x89PNG")
    asked = "GET / HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n\r\n"
    answer = ada("port-forward", "--stdio", "guest", "80", input=asked)
    assert answer.out.endswith("hello from guest-instance-1\n")
    heard = []

    def echoed(said: Said) -> bool:
        found = re.search(r"127\.0\.0\.1:(\d+) is port 7 there", said.err)
        if not found:
            return False
        with socket.create_connection(("127.0.0.1", int(found[1])), 10) as connection:
            connection.sendall(b"ping")
            heard.append(connection.recv(4))
        return True

    forwarded = ada("instances", "port-forward", "guest", "0:7", until=echoed, ends=0)
    assert heard == [b"ping"]
    assert forwarded.out == ""
    id = ada.get("/instances/guest-instance-1")["id"]
    printed = ada("ssh", "-l", "root", "--port", "80", "--print", "guest", "--", "uname", "-a").out
    assert f"port-forward --stdio {id} 80" in printed
    assert printed.endswith("-l root guest-instance-1 uname -a\n")
    assert "-l ada guest-instance-1\n" in ada("instances", "ssh", "--print", "ada@guest").out


SCENES = [reading, running, talking]
