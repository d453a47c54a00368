"""Mail by SMTP, through the server that the installation names."""

import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Literal

import aiosmtplib

from app.delivery.messages import Message, NotDelivered
from app.rules.notifications import CONFIRMATION, PING

_CONFIRM = """Somebody who uses CMP wants to be told here of failures and of their quota.

If that is you, confirm it with this code, in the console or with cmpctl:

    {code}

    cmpctl notifications confirm {subscription} {code}

If it is not, do nothing: nothing more is sent here.
"""
_FOOT = "\n-- \nYou get this because you subscribed to it: cmpctl notifications list\n"


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    user: str | None
    password: str | None
    sender: str
    seconds: float


class Mail:
    def __init__(self, server: Server | None) -> None:
        self._server = server
        self._tls = ssl.create_default_context()

    async def send(self, message: Message) -> str:
        """What the server answered. Raises NotDelivered."""
        server = self._server
        if server is None:
            raise NotDelivered("no mail server is set up")
        try:
            await aiosmtplib.send(
                _mail(message, server.sender),
                hostname=server.host,
                port=server.port,
                username=server.user,
                password=server.password,
                timeout=server.seconds,
                use_tls=server.tls == "tls",
                start_tls=server.tls == "starttls",
                tls_context=self._tls,
            )
        except aiosmtplib.SMTPRecipientsRefused:
            raise NotDelivered("the mail server refuses the address") from None
        except aiosmtplib.SMTPResponseException as error:
            raise NotDelivered(f"the mail server says {error.code}") from None
        except (aiosmtplib.SMTPException, OSError, ValueError):
            raise NotDelivered("the mail server cannot be reached") from None
        return "the mail server has it"


def _mail(message: Message, sender: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = message.target
    mail["Subject"] = f"CMP: {_subject(message)}"
    mail["Date"] = message.created_at
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2].rstrip('>')}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_text(message))
    return mail


def _subject(message: Message) -> str:
    if message.topic == CONFIRMATION:
        return "confirm this address"
    if message.topic == PING:
        return "a test, as you asked"
    first, count = message.content["events"][0], message.content["count"]
    more = f", and {count - 1} more" if count > 1 else ""
    return f"{message.topic}: {_what(first)}{more}"


def _text(message: Message) -> str:
    if message.topic == CONFIRMATION:
        return _CONFIRM.format(subscription=message.content["subscription_id"], code=message.secret)
    if message.topic == PING:
        return f"It works.\n{_FOOT}"
    events = message.content["events"]
    lines = [f"{event['created_at']}  {_what(event)}{_why(event)}" for event in events]
    if (rest := message.content["count"] - len(events)) > 0:
        lines.append(f"and {rest} more")
    return "\n".join(lines) + f"\n{_FOOT}"


def _what(event: dict[str, Any]) -> str:
    return str(event["instance_name"] or event["cluster_name"] or event["message"])


def _why(event: dict[str, Any]) -> str:
    named = event["instance_name"] or event["cluster_name"]
    return f": {event['message'] or event['reason'] or event['status']}" if named else ""
