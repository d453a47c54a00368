"""Sends messages to where tenants want to be told: signed webhooks and mail. Knows no database and decides not when.

One try each; whatever stands against it is NotDelivered, in words that its owner may read.
"""

from app.delivery.mail import Mail
from app.delivery.messages import Message, NotDelivered
from app.delivery.webhooks import Webhooks

__all__ = ["Mail", "Message", "NotDelivered", "Webhooks"]
