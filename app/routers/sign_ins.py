"""A person in a browser: /login, /logout, /sso and /device. Each ends in a session's cookie, or in the end of one."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import parse_qsl, quote

import structlog
from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from app import auth
from app.database import Session
from app.errors import CmpError, Forbidden, NotFound, TooMany, Unauthenticated, Unsupported
from app.models import User
from app.routers import cookies, pages
from app.routers.access import PUBLIC
from app.routers.deps import State, address_of, presented, request_id, state_of
from app.routers.problems import status_of
from app.routers.users import default_quota
from app.rules.access import Viewer
from app.rules.sealing import NoKey
from app.services import oauth, sign_ins, users

log = structlog.get_logger("cmp.sign_ins")
router = APIRouter(include_in_schema=False)

_HOME = "/login"
_SSO = "cmp-sso"
_SSO_SECONDS = 600
# A path of ours: never another host's, however it is written.
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,500}")


@router.get("/login", dependencies=[PUBLIC])
async def login_page(request: Request, next: str = _HOME) -> Response:
    state, next = state_of(request), _ours(next)
    viewer = await _viewer(request, state)
    if viewer is None:
        return pages.sign_in(next, _provider_name(state))
    return pages.signed_in(viewer.username) if next == _HOME else RedirectResponse(next, 303)


@router.post("/login", dependencies=[PUBLIC])
async def login(request: Request) -> Response:
    state, form = state_of(request), await _form(request)
    cookies.require_own_page(request)
    next = _ours(form.get("next", ""))
    try:
        if "token" in form:
            return await _entered_with(request, state, form["token"].strip(), next)
        user = await state.gate.by_password(form.get("username", ""), form.get("password", ""), address_of(request))
        return await _entered(request, state, user, "password", next)
    except (Unauthenticated, TooMany) as error:
        return pages.sign_in(next, _provider_name(state), error.message, status_of(error))


@router.post("/logout", dependencies=[PUBLIC])
async def logout(request: Request) -> Response:
    state = state_of(request)
    cookies.require_own_page(request)
    viewer = await _viewer(request, state)
    if viewer is not None:
        await state.database.run(lambda session: sign_ins.close(session, viewer, request_id()))
    response = RedirectResponse(_HOME, 303, {"Clear-Site-Data": '"cache", "storage"'})
    cookies.forget_session(request, response)
    return response


@router.get("/sso/login", dependencies=[PUBLIC])
async def sso_login(request: Request, next: str = _HOME) -> Response:
    """What must be known again when the browser comes back travels with it, sealed.

    Another site's page gets nobody signed in, or linked, without a click on ours.
    """
    state = state_of(request)
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return RedirectResponse(f"/login?next={quote(_ours(next))}", 303)
    url, kept = await _provider(state).begin(_callback(state))
    kept["next"] = _ours(next)
    viewer = await _viewer(request, state)
    if viewer is not None:
        kept["link"] = str(viewer.user_id)
    response = RedirectResponse(url, 303)
    cookies.keep(request, response, _SSO, state.sealer.seal(kept, _SSO), _SSO_SECONDS)
    return response


@router.get("/sso/callback", dependencies=[PUBLIC])
async def sso_callback(request: Request, code: str = "", state: str = "", error: str = "") -> Response:
    parts = state_of(request)
    try:
        kept = parts.sealer.open(request.cookies.get(cookies.name_of(request, _SSO), ""), _SSO)
        if error:
            raise auth.NotProven("the provider refused")
        identity = await _provider(parts).finish(kept, code, state)
    except (auth.NotProven, NoKey, ValueError) as why:
        log.warning("sso.not_proven", why=str(why))
        return pages.sign_in(_HOME, _provider_name(parts), "The provider did not vouch for you. Try again.", 401)
    viewer = await _viewer(request, parts)

    async def work(session: Session) -> User:
        if kept.get("link") is not None and viewer is not None and kept["link"] == str(viewer.user_id):
            return await _linked(session, viewer, identity)
        quota = default_quota(parts.settings) if parts.settings.oidc_sign_up else None
        return await sign_ins.by_identity(session, identity, quota, request_id())

    try:
        user = await parts.database.run(work)
    except CmpError as refused:
        return pages.sign_in(_HOME, _provider_name(parts), refused.message, status_of(refused))
    response = await _entered(request, parts, user, "single sign-on", _ours(kept["next"]))
    cookies.forget(request, response, _SSO)
    return response


@router.get("/device", dependencies=[PUBLIC])
async def device_page(request: Request, user_code: str = "") -> Response:
    state = state_of(request)
    viewer = await _viewer(request, state)
    if viewer is None:
        return RedirectResponse(f"/login?next={quote(f'/device?user_code={quote(user_code)}')}", 303)
    if not user_code:
        return pages.device_code()

    async def shown(session: Session) -> Response:
        found = await oauth.find_device(session, user_code)
        days = state.settings.sign_in_days
        return pages.device(viewer.username, user_code, found.client, found.address, found.scopes, days)

    return await _with_code(request, state, shown)


@router.post("/device", dependencies=[PUBLIC])
async def answer_device(request: Request) -> Response:
    state, form = state_of(request), await _form(request)
    cookies.require_own_page(request)
    viewer = await _viewer(request, state)
    if viewer is None:
        raise auth.not_known()
    allow = form.get("answer") == "allow"

    async def answered(session: Session) -> Response:
        await oauth.answer_device(session, viewer, form.get("user_code", ""), allow=allow)
        if not allow:
            return pages.answered("Refused", "The program was not let in.")
        return pages.answered("Done", "The program may go on. You can close this page.")

    return await _with_code(request, state, answered)


async def _with_code(request: Request, state: State, work: Callable[[Session], Awaitable[Response]]) -> Response:
    """A code that nobody waits with counts as a guess."""
    try:
        await state.gate.throttle.before(address_of(request), "device")
        return await state.database.run(work)
    except NotFound as error:
        await state.gate.throttle.failed(address_of(request), "device")
        return pages.device_code(error.message, 404)
    except TooMany as error:
        return pages.device_code(error.message, 429)


async def _viewer(request: Request, state: State) -> Viewer | None:
    """By the browser's session only: a token that is sent along proves no person at a screen."""
    if cookies.session_of(request) is None or "authorization" in request.headers:
        return None
    try:
        return await auth.authenticate(state.database, await presented(request, state))
    except (Unauthenticated, Forbidden):
        return None


async def _linked(session: Session, viewer: Viewer, identity: auth.Identity) -> User:
    user = await users.load(session, viewer.user_id, lock=True)
    await sign_ins.link(session, viewer.username, user, identity.issuer, identity.subject, request_id())
    return user


async def _entered(request: Request, state: State, user: User, how: str, next: str) -> Response:
    """A new session with every sign-in; the one before ends."""
    before = await _viewer(request, state)
    idle = timedelta(minutes=state.settings.session_idle_minutes)
    lifetime = timedelta(hours=state.settings.session_hours)

    async def work(session: Session) -> str:
        if before is not None:
            await sign_ins.close(session, before, request_id())
        return await sign_ins.open_browser(session, user, min(idle, lifetime), how, request_id())

    secret = await state.database.run(work)
    response = RedirectResponse(next, 303)
    cookies.keep_session(request, response, secret, round(lifetime.total_seconds()))
    return response


async def _entered_with(request: Request, state: State, token: str, next: str) -> Response:
    """The cookie carries the token itself: it gives no more than before, and what revokes it ends this too."""
    await state.gate.by_token(token, address_of(request))
    response = RedirectResponse(next, 303)
    cookies.keep_session(request, response, token, round(timedelta(hours=state.settings.session_hours).total_seconds()))
    return response


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), max_num_fields=20))


def _provider(state: State) -> auth.Provider:
    if state.provider is None:
        raise Unsupported("There is no single sign-on here. An administrator sets CMP_OIDC_ISSUER.")
    if not state.sealer.ready:
        raise Unsupported("Single sign-on needs a key to seal with. An administrator sets CMP_SECRET_KEY.")
    return state.provider


def _provider_name(state: State) -> str | None:
    return state.settings.oidc_name if state.provider is not None else None


def _callback(state: State) -> str:
    return f"{state.settings.issuer()}/sso/callback"


def _ours(next: str) -> str:
    return next if _PATH.fullmatch(next) else _HOME
