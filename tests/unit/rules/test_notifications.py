"""Which levels are told of and when again, pauses, signatures as others verify them, URLs."""

import json
import random
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.models import QuotaStrategy, Topic
from app.rules import notifications as rules
from app.rules.quota import DIMENSIONS, Account, Amounts


def account(used: int, quota: int = 100) -> Account:
    return Account(Amounts(memory=quota), Amounts(memory=used), QuotaStrategy.ALLOCATED)


def told(*uses: int) -> list[list[int]]:
    """The thresholds that are told of as the use of memory goes through these."""
    levels: dict[str, int] = {}
    found = []
    for used in uses:
        levels, crossed = rules.levels(levels, account(used))
        assert {dimension for dimension, _ in crossed} <= {"memory"}
        found.append([share for _, share in crossed])
    return found


def test_a_threshold_is_told_of_once_and_again_after_a_fall() -> None:
    assert told(79, 80, 99, 80, 71, 80) == [[], [80], [], [], [], []]
    assert told(80, 69, 80) == [[80], [], [80]]
    assert told(85, 100, 95, 100) == [[80], [100], [], []]
    assert told(100, 89, 100) == [[100], [], [100]]
    assert told(120, 75, 85, 60, 85) == [[100], [], [], [], [80]]


def test_whatever_the_use_does_nothing_is_told_twice_in_a_row() -> None:
    seeded = random.Random(7)
    for _ in range(200):
        uses = [seeded.randrange(130) for _ in range(60)]
        last, lowest = 0, 0
        for used, crossed in zip(uses, told(*uses), strict=True):
            lowest = min(lowest, used)
            for share in crossed:
                assert used >= share
                assert share > last or lowest < last - 9, (uses, used)
                last, lowest = share, used


def test_limits_of_nothing() -> None:
    assert rules.levels({}, account(0, 0)) == (dict.fromkeys(DIMENSIONS, 0), [])
    assert rules.levels({}, account(1, 0))[1] == [("memory", 100)]


def test_pauses_grow_to_a_day() -> None:
    pauses = [rules.pause(attempts, 5.0) for attempts in range(1, 40)]
    assert pauses[:4] == [5, 20, 80, 320]
    assert max(pauses) == 6 * 3600
    assert sum(pauses[:9]) < rules.GIVE_UP.total_seconds() < sum(pauses[:11])
    assert [rules.rest(failures, 5.0) for failures in (0, 1, 2, 7, 900)] == [0, 5, 10, 300, 300]


def test_others_verify_our_signatures() -> None:
    secret, body, now = rules.new_secret(), json.dumps({"type": "ping"}).encode(), int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": "some-id",
        "webhook-timestamp": str(now),
        "webhook-signature": rules.signature(secret, "some-id", now, body),
    }
    assert Webhook(secret).verify(body, headers) == {"type": "ping"}
    for forged in ({"webhook-id": "other"}, {"webhook-timestamp": str(now + 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, headers | forged)
    with pytest.raises(WebhookVerificationError):
        Webhook(rules.new_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)


def test_what_is_told_of() -> None:
    events = [
        ({"kind": "cluster.phase", "status": "failed"}, Topic.CLUSTER_FAILED),
        ({"kind": "cluster.phase", "status": "running"}, None),
        ({"kind": "instance.status", "status": "failed"}, Topic.INSTANCE_FAILED),
        ({"kind": "operation.finished", "status": "failed"}, Topic.OPERATION_FAILED),
        ({"kind": "operation.finished", "status": "cancelled"}, None),
        ({"kind": "quota.threshold", "status": "80"}, Topic.QUOTA_THRESHOLD),
        ({"kind": "cluster.created", "status": "pending"}, None),
        ({"kind": "cluster.created"}, None),
    ]
    assert [rules.topic_of(event) for event, _ in events] == [topic for _, topic in events]


def test_many_events_are_one_short_message() -> None:
    event = {"kind": "instance.status", "status": "failed", "created_at": datetime.now(UTC)}
    content = rules.content([event] * 3000)
    assert content["count"] == 3000
    assert len(content["events"]) == 20


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://ops.example.org/cmp?key=1", True),
        ("https://[2001:db8::1]:8443/", True),
        ("http://ops.example.org/", False),
        ("ftp://ops.example.org/", False),
        ("https://", False),
        ("https://ops.example.org:99999/", False),
        ("https://[::1", False),
        ("https://user:password@ops.example.org/", False),
        ("https://ops.example.org/#part", False),
        ("file:///etc/passwd", False),
    ],
)
def test_urls(url: str, right: bool) -> None:
    assert (rules.wrong_with_url(url, http=False) is None) is right


def test_mail_addresses() -> None:
    assert all(map(rules.is_mail_address, ("ops@example.org", "a.b+c@x", "o'neil@mail.example.org")))
    wrong = ("ops", "@example.org", "ops@", "a@b@c", "a b@c", "ops@example.org\nBcc: all@example.org", "<a@b>", "a,b@c")
    assert not any(map(rules.is_mail_address, wrong))
