"""/oauth: access tokens for programs, as RFC 6749, 7009, 8414 and 8628 have it. Their errors, not problem documents."""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Request, Response

from app.errors import CmpError
from app.routers.access import PUBLIC
from app.routers.deps import State, address_of, request_id, state_of
from app.routers.problems import status_of
from app.routers.wire import BareRoute, Json
from app.rules.access import Scope, Scopes, read_scopes
from app.services.oauth import DEVICE_SECONDS, INTERVAL, Granted, Refused

router = APIRouter(tags=["oauth"], route_class=BareRoute)

_CLIENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_FIELDS = (
    "grant_type",
    "username",
    "password",
    "refresh_token",
    "device_code",
    "client_id",
    "client_secret",
    "scope",
    "token",
    "token_type_hint",
)
_LONGEST = 4096


class _Form(dict[str, str]):
    def need(self, name: str) -> str:
        if not self.get(name):
            raise Refused("invalid_request", f"{name} is missing.")
        return self[name]

    @property
    def client(self) -> str:
        """A program of no registration says what it is called, for people to tell their sign-ins apart."""
        name = self.get("client_id", "program")
        if not _CLIENT.fullmatch(name):
            raise Refused("invalid_request", "client_id is a name of letters, digits and ` ._-`, at most 63.")
        return name

    @property
    def scopes(self) -> Scopes:
        try:
            return read_scopes(self.get("scope", "").strip() or None)
        except ValueError as error:
            raise Refused("invalid_scope", f"The scopes there are: {' '.join(Scope)}.") from error


_Grant = Callable[[State, Request, _Form], Awaitable[Granted]]


async def _password(state: State, request: Request, form: _Form) -> Granted:
    return await state.grants.by_password(
        form.need("username"), form.need("password"), form.scopes, form.client, address_of(request), request_id()
    )


async def _client(state: State, request: Request, form: _Form) -> Granted:
    return await state.grants.by_client(
        form.need("client_id"), form.need("client_secret"), form.scopes, address_of(request)
    )


async def _refresh(state: State, _request: Request, form: _Form) -> Granted:
    return await state.grants.by_refresh(form.need("refresh_token"), form.client, request_id())


async def _device(state: State, _request: Request, form: _Form) -> Granted:
    return await state.grants.by_device(form.need("device_code"), form.client, request_id())


_GRANTS: dict[str, _Grant] = {
    "password": _password,
    "client_credentials": _client,
    "refresh_token": _refresh,
    _DEVICE_GRANT: _device,
}


async def token(request: Request) -> Response:
    async def work(form: _Form) -> dict[str, Any]:
        grant = _GRANTS.get(form.need("grant_type"))
        if grant is None:
            raise Refused("unsupported_grant_type", f"The grants there are: {', '.join(_GRANTS)}.")
        granted = await grant(state_of(request), request, form)
        answer = {
            "access_token": granted.access_token,
            "token_type": "Bearer",
            "expires_in": granted.expires_in,
            "refresh_token": granted.refresh_token,
            "scope": granted.scope,
        }
        return {name: value for name, value in answer.items() if value is not None}

    return await _answered(request, work)


async def revoke(request: Request) -> Response:
    async def work(form: _Form) -> dict[str, Any]:
        await state_of(request).grants.revoke(form.need("token"), request_id())
        return {}

    return await _answered(request, work)


async def device_authorization(request: Request) -> Response:
    async def work(form: _Form) -> dict[str, Any]:
        state = state_of(request)
        form.need("client_id")
        waiting = await state.grants.begin_device(form.scopes, form.client, address_of(request))
        page = f"{state.settings.issuer()}/device"
        return {
            "device_code": waiting.device_code,
            "user_code": waiting.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={waiting.user_code}",
            "expires_in": DEVICE_SECONDS,
            "interval": INTERVAL,
        }

    return await _answered(request, work)


def _described(*names: str) -> dict[str, Any]:
    fields = {name: {"type": "string"} for name in names}
    schema = {"type": "object", "properties": fields, "required": [names[0]]}
    return {"requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}}


for _path, _endpoint, _summary, _names in (
    ("/oauth/token", token, "An access token, for one of four grants", _FIELDS[:8]),
    ("/oauth/revoke", revoke, "End the sign-in that a token belongs to", _FIELDS[8:]),
    ("/oauth/device_authorization", device_authorization, "Begin a device's sign-in", ("client_id", "scope")),
):
    router.add_api_route(
        _path, _endpoint, methods=["POST"], dependencies=[PUBLIC], summary=_summary, openapi_extra=_described(*_names)
    )


@router.get(
    "/oauth/jwks.json",
    dependencies=[PUBLIC],
    summary="The keys that access tokens are signed with",
)
async def jwks(request: Request) -> Response:
    return Json({"keys": await state_of(request).access_tokens.public()}, headers={"Cache-Control": "max-age=300"})


@router.get("/.well-known/oauth-authorization-server", dependencies=[PUBLIC], summary="What there is of OAuth")
async def metadata(request: Request) -> Response:
    issuer = state_of(request).settings.issuer()
    return Json(
        {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/oauth/token",
            "revocation_endpoint": f"{issuer}/oauth/revoke",
            "device_authorization_endpoint": f"{issuer}/oauth/device_authorization",
            "jwks_uri": f"{issuer}/oauth/jwks.json",
            "grant_types_supported": list(_GRANTS),
            "response_types_supported": [],
            "scopes_supported": list(Scope),
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        }
    )


async def _answered(request: Request, work: Callable[[_Form], Awaitable[dict[str, Any]]]) -> Response:
    try:
        return Json(await work(await _form(request)), headers=_NO_STORE)
    except Refused as refused:
        status = 401 if refused.error == "invalid_client" else 400
        headers = _NO_STORE | ({"WWW-Authenticate": 'Basic realm="cmp"'} if status == 401 else {})
        return Json({"error": refused.error, "error_description": refused.why}, status, headers=headers)
    except CmpError as error:
        words = {"error": "temporarily_unavailable", "error_description": error.message}
        return Json(words, status_of(error), headers=_NO_STORE)


async def _form(request: Request) -> _Form:
    """No field twice; client credentials from the header, or from the body."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refused("invalid_request", "Send a form: Content-Type: application/x-www-form-urlencoded.")
    try:
        pairs = parse_qsl(
            (await request.body()).decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50
        )
    except ValueError as error:
        raise Refused("invalid_request", "The form cannot be read.") from error
    form = _Form(pair for pair in pairs if pair[0] in _FIELDS)
    if len(form) != sum(name in _FIELDS for name, _ in pairs) or any(len(value) > _LONGEST for value in form.values()):
        raise Refused("invalid_request", "A field is there twice, or too long.")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        form["client_id"], form["client_secret"] = _basic(given)
    return form


def _basic(given: str) -> tuple[str, str]:
    try:
        id, colon, secret = base64.b64decode(given, validate=True).decode("ascii").partition(":")
    except (binascii.Error, ValueError) as error:
        raise Refused("invalid_client", "The Authorization header cannot be read.") from error
    if not colon:
        raise Refused("invalid_client", "The Authorization header cannot be read.")
    return unquote_plus(id), unquote_plus(secret)
