"""Programs that come in by OAuth, and what tests look at in their tokens."""

import base64
import json
from typing import Any

import httpx

from tests.api.running import Api, Caller

PASSWORD = "a long enough password"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def asked(api: Api, path: str = "token", basic: tuple[str, str] | None = None, **form: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://cmp", auth=basic) as http:
        answer = await http.post(f"/oauth/{path}", data=form)
    assert answer.headers["cache-control"] == "no-store"
    return answer


async def signed_in(api: Api, user: Caller, **form: Any) -> dict[str, Any]:
    answer = await asked(api, grant_type="password", username=user.name, password=PASSWORD, **form)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def part(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    return dict(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


def encoded(*parts: dict[str, Any]) -> str:
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts)


async def with_password(api: Api) -> Caller:
    user = await api.user()
    set_it = await api.admin.put(f"/users/{user.id}/password", json={"password": PASSWORD})
    assert set_it.status_code == 204, set_it.text
    return user
