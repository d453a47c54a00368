"""Being told: by webhook to where nobody is, by mail to a server that is there."""

import json
from pathlib import Path

from aiosmtpd.controller import Controller

from tests.cmpctl.command import MAIL_PORT, Cmpctl
from tests.delivery.receiver import MailServer

_NOWHERE = "https://nobody.invalid/told"


def being_told_by_webhook(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    asked = ("--topic", "cluster.failed", "--topic", "quota.threshold")
    made = json.loads(ada("notifications", "create", _NOWHERE, *asked, "-o", "json", "-c", "secret").out)
    assert made["secret"].startswith("whsec_")
    id = made["id"]
    shown = ada("notifications", "show", id[:30], "-o", "csv", "-c", "topics").out
    assert shown == 'topics\n"cluster.failed, quota.threshold"\n'
    ada("notifications", "list", "-w", "-o", "name", until=lambda said: id in said.out)
    listed = ada("notifications", "list", "--filter", "channel=webhook", "-c", "target", "--no-headers")
    assert listed.out == f"{_NOWHERE}\n"
    ping = ada("notifications", "test", id, "-o", "json", "-c", "id").out
    there = ("notifications", "deliveries", id, "-c", "topic,status,said", "--no-headers", "--filter", "topic=ping")
    ada(*there, "-w", "-o", "csv", until=lambda said: "ping,waiting,its name is not known" in said.out)
    again = ada("notifications", "resend", id, json.loads(ping)["id"], "-o", "json", "-c", "attempts")
    assert json.loads(again.out)["attempts"] == 0
    assert "Next: cmpctl notifications list" in admin("notifications", "show", id, code=5).err
    ada("notifications", "delete", id)
    assert ada("notifications", "list", "-o", "name").out == ""


def being_told_by_mail(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    mails = MailServer()
    server = Controller(mails, hostname="127.0.0.1", port=MAIL_PORT)
    server.start()
    try:
        made = ada("notifications", "create", "ops@example.org", "-o", "name")
        id = made.out.strip()
        assert f"cmpctl notifications confirm {id} CODE" in made.err
        there = ("notifications", "deliveries", id, "-w", "-o", "csv")
        ada(*there, until=lambda said: "confirmation,delivered" in said.out)
    finally:
        server.stop()
    (mail,) = mails.to("ops@example.org")
    code = mail.get_content().split(id)[1].split()[0]
    assert "not the code" in ada("notifications", "confirm", id, "another", code=1).err
    assert "ops@example.org is confirmed." in ada("notifications", "confirm", id, code).err
    assert ada.get(f"/notifications/{id}")["confirmed"] is True


SCENES = [being_told_by_webhook, being_told_by_mail]
