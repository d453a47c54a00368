"""Mail through a real server: with TLS and a password, and what it says when it does not take it."""

import ssl
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.delivery import Mail, Message, NotDelivered
from app.delivery.mail import Server
from app.rules.notifications import CONFIRMATION, PING, content
from tests.delivery.receiver import mail_server
from tests.kube.tls import Authority

EVENT = {
    "kind": "cluster.phase",
    "cluster_name": "web",
    "status": "failed",
    "reason": "image_pull",
    "message": "the image\r\nBcc: all@example.org is not there",
    "created_at": datetime.now(UTC),
}


def message(topic: str = PING, told: dict[str, Any] | None = None, secret: str = "") -> Message:
    return Message(str(uuid.uuid4()), topic, told or {}, datetime.now(UTC), "ops@example.org", secret)


def server(port: int) -> Server:
    return Server("127.0.0.1", port, "none", None, None, "CMP <cmp@example.org>", 5.0)


async def refusal(mail: Mail) -> str:
    with pytest.raises(NotDelivered) as caught:
        await mail.send(message())
    return str(caught.value)


async def test_what_is_written() -> None:
    async with mail_server() as mails:
        mail = Mail(server(mails.port))
        failed = message("cluster.failed", content([EVENT] * 30))
        await mail.send(failed)
        await mail.send(message())
        await mail.send(message(CONFIRMATION, {"subscription_id": "some-id"}, "the-code"))
    told, ping, confirmation = mails.to("ops@example.org")
    assert told["Subject"] == "CMP: cluster.failed: web, and 29 more"
    assert (told["From"], told["To"], told["Bcc"]) == ("CMP <cmp@example.org>", "ops@example.org", None)
    assert told["Message-ID"] == f"<{failed.id}@example.org>"
    assert told["Auto-Submitted"] == "auto-generated"
    assert "web: the image" in told.get_content()
    assert "and 10 more" in told.get_content()
    assert ping["Subject"] == "CMP: a test, as you asked"
    assert "cmpctl notifications confirm some-id the-code" in confirmation.get_content()


async def test_tls_and_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority()
    context = authority.server_context(tmp_path)
    context.verify_mode = ssl.CERT_NONE  # it need not know who comes
    (tmp_path / "authority.pem").write_bytes(authority.certificate)
    async with mail_server(context, (b"cmp", b"canary of the mail server")) as mails:
        plain = server(mails.port)
        signed_in = replace(plain, tls="starttls", user="cmp", password="canary of the mail server")
        assert await refusal(Mail(signed_in)) == "the mail server cannot be reached"
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        await Mail(signed_in).send(message())
        assert await refusal(Mail(replace(signed_in, password="another"))) == "the mail server says 535"
        assert await refusal(Mail(plain)) == "the mail server says 530"
    assert len(mails.mails) == 1


async def test_what_is_not_taken() -> None:
    async with mail_server() as mails:
        mails.refused.add("ops@example.org")
        assert await refusal(Mail(server(mails.port))) == "the mail server refuses the address"
    assert await refusal(Mail(server(mails.port))) == "the mail server cannot be reached"
    assert await refusal(Mail(None)) == "no mail server is set up"
