"""The few pages that there are without the console: signing in, and letting a device in. HTML, no script."""

import base64
import hashlib
from html import escape
from urllib.parse import quote

from starlette.responses import HTMLResponse, Response

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:12vh auto;max-width:24rem;padding:0 1rem;color:#1a1d21;"
    "background:#fafafa}h1{font-size:1.4rem}label{display:block;margin:1rem 0 .2rem}input{font:inherit;width:100%;"
    "box-sizing:border-box;padding:.5rem;border:1px solid #8a9099;border-radius:.3rem}button,.button{font:inherit;"
    "display:inline-block;margin:1.2rem .6rem 0 0;padding:.5rem 1rem;border:1px solid #1f4fa3;border-radius:.3rem;"
    "background:#1f4fa3;color:#fff;text-decoration:none;cursor:pointer}.second{background:#fff;color:#1f4fa3}"
    "summary{margin-top:1.5rem;cursor:pointer}"
    ".wrong{border-left:.3rem solid #b3261e;padding-left:.7rem}dt{font-weight:600}dd{margin:0 0 .6rem}"
    "@media(prefers-color-scheme:dark){body{color:#e8eaed;background:#1a1b1e}input{color:inherit;background:#25262b}"
    ".second{background:transparent;color:#8fb4ff;border-color:#8fb4ff}}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
}


_SIGN_OUT = '<form method="post" action="/logout"><button class="second">Sign out</button></form>'


def sign_in(next: str, provider: str | None, wrong: str | None = None, status: int = 200) -> Response:
    single = (
        f'<a class="button second" href="/sso/login?next={quote(next)}">Sign in with {escape(provider)}</a>'
        if provider is not None
        else ""
    )
    return _page(
        "Sign in to CMP",
        f"""{_wrong(wrong)}<form method="post" action="/login">
<input type="hidden" name="next" value="{escape(next)}">
<label for="username">Username</label><input id="username" name="username" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Sign in</button>{single}</form>
<details><summary>Sign in with a token</summary><form method="post" action="/login">
<input type="hidden" name="next" value="{escape(next)}"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="off" required>
<p>The first administrator's is in the file <code>admin-token</code> of CMP's data directory.</p>
<button class="second">Sign in with the token</button></form></details>""",
        status,
    )


def signed_in(username: str) -> Response:
    return _page(
        "CMP",
        f"<p>You are signed in as <strong>{escape(username)}</strong>.</p>"
        f'<a class="button" href="/">Open the console</a>{_SIGN_OUT}',
    )


def device_code(wrong: str | None = None, status: int = 200) -> Response:
    return _page(
        "Let a device in",
        f"""{_wrong(wrong)}<form method="get" action="/device"><label for="code">The code that your device shows</label>
<input id="code" name="user_code" autocomplete="off" required autofocus><button>Go on</button></form>{_SIGN_OUT}""",
        status,
    )


def device(username: str, user_code: str, client: str, address: str, scopes: str | None, days: int) -> Response:
    return _page(
        "Let a device in",
        f"""<p>A program wants to act as <strong>{escape(username)}</strong>. Let it in only if you started it yourself
and it shows this code.</p><dl><dt>Code</dt><dd>{escape(user_code)}</dd><dt>It calls itself</dt>
<dd>{escape(client)}</dd><dt>It asks from</dt><dd>{escape(address)}</dd>
<dt>What it may</dt><dd>{escape(scopes or "all that you may")}</dd>
<dt>For how long</dt><dd>at most {days} days, until you end it</dd></dl>
<form method="post" action="/device"><input type="hidden" name="user_code" value="{escape(user_code)}">
<button name="answer" value="allow">Let it in</button>
<button class="second" name="answer" value="refuse">Refuse</button></form>{_SIGN_OUT}""",
    )


def answered(title: str, text: str) -> Response:
    return _page(title, f"<p>{escape(text)}</p>{_SIGN_OUT}")


def said(title: str, text: str, status: int) -> Response:
    return _page(title, f"<p>{escape(text)}</p>", status)


def _wrong(text: str | None) -> str:
    return f'<p class="wrong" role="alert">{escape(text)}</p>' if text is not None else ""


def _page(title: str, body: str, status: int = 200) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><main><h1>{escape(title)}</h1>{body}</main></html>",
        status,
        headers=_HEADERS,
    )
