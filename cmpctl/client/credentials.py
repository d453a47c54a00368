"""Who the client speaks for: a token that is sent as it is, or a sign-in that is kept up by refresh tokens."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

_EARLY = 30.0


class Credentials:
    """`bearer` is sent. With a `refresh_token` it is replaced before `expires_at` (seconds since 1970)."""

    def __init__(self, bearer: str | None, refresh_token: str | None = None, expires_at: float = 0.0) -> None:
        self.bearer = bearer
        self.refresh_token = refresh_token
        self.expires_at = expires_at

    @property
    def renewable(self) -> bool:
        return self.refresh_token is not None

    def ending(self) -> bool:
        return self.renewable and time.time() > self.expires_at - _EARLY

    def renew(self, answer: Mapping[str, Any]) -> None:
        """What the token endpoint answered."""
        self.bearer = answer["access_token"]
        self.refresh_token = answer.get("refresh_token", self.refresh_token)
        self.expires_at = time.time() + answer["expires_in"]

    def end(self) -> None:
        """The sign-in is over."""
        self.bearer = self.refresh_token = None

    def lock(self) -> AbstractContextManager[Any]:
        """Held while the tokens are renewed."""
        return nullcontext()
