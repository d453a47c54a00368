"""One try: where it may go, that it goes nowhere else, what it is signed with, and what counts as delivered."""

import asyncio
import socket
import ssl
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from app.delivery import Message, NotDelivered, Webhooks
from app.rules.addresses import Fence
from app.rules.notifications import new_secret
from tests.delivery.receiver import Receiver, receiving
from tests.kube.tls import Authority

SECRET = new_secret()
LOOPBACK = Fence(but=["127.0.0.1/32"])
# All of them are, or resolve to, this machine.
SPELLINGS = [
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0"),
    *("0.0.0.0", "localhost", "LOCALHOST", "localhost.", "127.0.0.2", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1]"),
    *("[::]", "[0:0:0:0:0:0:0:1]", "１２７.0.0.1", "127。0。0。1", "%31%32%37.0.0.1"),
]


def message(target: str, secret: str = SECRET) -> Message:
    return Message(str(uuid.uuid4()), "ping", {"count": 0}, datetime.now(UTC), target, secret)


def sender(fence: Fence = LOOPBACK, *, http: bool = True, seconds: float = 5.0) -> Webhooks:
    return Webhooks(fence, http=http, seconds=seconds, version="0")


async def refusal(target: str, webhooks: Webhooks | None = None) -> str:
    with pytest.raises(NotDelivered) as caught:
        await (webhooks or sender()).send(message(target))
    return str(caught.value)


async def test_delivered_as_standard_webhooks_has_it() -> None:
    async with receiving() as receiver:
        sent = message(receiver.url)
        assert await sender().send(sent) == "HTTP 204"
    ((headers, body),) = receiver.seen
    told = Webhook(SECRET).verify(body, headers)
    assert told == {"type": "ping", "timestamp": sent.created_at.isoformat(), "data": {"count": 0}}
    assert headers["webhook-id"] == sent.id
    assert headers["content-type"] == "application/json"
    assert "cookie" not in headers


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_nothing_reaches_this_machine_however_it_is_spelled(spelling: str) -> None:
    async with receiving("127.0.0.1") as canary, receiving("::1", canary.port) as other:
        await refusal(f"http://{spelling}:{canary.port}/", sender(Fence()))
    assert canary.seen == other.seen == []


async def test_a_name_that_leads_elsewhere_meanwhile_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 is allowed, 127.0.0.2 is not, and each look-up answers the other one."""
    looked_up: list[str] = []

    def flipping(host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "rebinding.example.org":
            return real(host, port, *args, **kwargs)
        looked_up.append(("127.0.0.1", "127.0.0.2")[len(looked_up) % 2])
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (looked_up[-1], port))]

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", flipping)
    async with receiving("127.0.0.1") as receiver, receiving("127.0.0.2", receiver.port) as canary:
        target = f"http://rebinding.example.org:{receiver.port}/"
        for _ in range(3):
            assert await sender().send(message(target)) == "HTTP 204"
            assert await refusal(target) == "its address is not on the internet"
    assert (len(receiver.seen), len(canary.seen)) == (3, 0)
    assert len(looked_up) == 6
    assert receiver.seen[0][0]["host"] == f"rebinding.example.org:{receiver.port}"


async def test_a_redirect_is_not_followed() -> None:
    async with receiving() as receiver, receiving() as canary:
        receiver.answers, receiver.headers = [307], {"Location": canary.url}
        assert await refusal(receiver.url) == "HTTP 307"
    assert canary.seen == []


async def test_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver, receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await sender().send(message(receiver.url))
    assert (len(receiver.seen), len(proxy.seen)) == (1, 0)


async def test_an_answer_is_not_read(receiver: Receiver) -> None:
    receiver.answers, receiver.body = [200, 500], b"x" * 50_000_000
    async with asyncio.timeout(2):
        assert await sender().send(message(receiver.url)) == "HTTP 200"
        assert await refusal(receiver.url) == "HTTP 500"


async def test_one_that_does_not_answer(receiver: Receiver) -> None:
    receiver.slow = 5.0
    assert await refusal(receiver.url, sender(seconds=0.2)) == "no answer in time"
    assert await refusal("http://127.0.0.1:1/") == "it cannot be connected to"
    assert await refusal("http://no-such-name.invalid/") == "its name is not known"


async def test_one_that_does_not_speak_http() -> None:
    async def talks(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n" + b"x" * 100_000)
        writer.close()

    async with await asyncio.start_server(talks, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await refusal(f"http://127.0.0.1:{port}/") == "no answer that is one of HTTP"
        assert await refusal(f"https://127.0.0.1:{port}/") == "it does not speak TLS as it should"


async def test_plain_http_only_where_it_is_allowed(receiver: Receiver) -> None:
    assert await refusal(receiver.url, sender(http=False)) == "plain http is not allowed here"
    assert receiver.seen == []
    loud = receiver.url.replace("http:", "HTTPS:")
    assert await refusal(loud, sender(http=False)) == "it does not speak TLS as it should"


async def test_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority()
    context = authority.server_context(tmp_path)
    context.verify_mode = ssl.CERT_NONE  # it need not know who comes
    (tmp_path / "authority.pem").write_bytes(authority.certificate)
    async with receiving(tls=context) as receiver:
        assert await refusal(receiver.url) == "its certificate is not to be trusted"
        assert receiver.seen == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        trusting = sender(Fence(but=["127.0.0.1/32", "::1/128"]))
        assert await trusting.send(message(receiver.url)) == "HTTP 204"
        named = f"https://localhost:{receiver.port}/"  # the certificate is for 127.0.0.1
        assert await refusal(named, trusting) == "its certificate is not to be trusted"
    assert len(receiver.seen) == 1


@pytest.fixture
async def receiver() -> Any:
    async with receiving() as receiver:
        yield receiver
