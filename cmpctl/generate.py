"""What of the client is derived from docs/openapi.json; docs/generate.py writes it and holds it fresh.

The calls of `Client` and of `AsyncClient` are printed from one template, so that they cannot differ.
"""

import inspect
import json
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).parent
_HEAD = '"""{what} Generated from docs/openapi.json by `make docs`."""\n\n'

# What the generated methods leave to cmpctl/client/client.py and cmpctl/client/credentials.py, and why.
BY_HAND = {
    "GET /api/v1/events/": "a stream that resumes",
    "GET /api/v1/audit/export": "a stream",
    "GET /api/v1/instances/{instance}/logs": "a stream",
    "POST /oauth/token": "credentials.py refreshes and signs in",
    "POST /oauth/revoke": "credentials.py signs out",
    "POST /oauth/device_authorization": "credentials.py signs in",
    "GET /oauth/jwks.json": "for programs that verify access tokens",
    "GET /.well-known/oauth-authorization-server": "for OAuth libraries",
    "GET /livez": "for supervisors",
    "GET /readyz": "for load balancers",
}
# Where the noun and the verb are not what the path and the function's name say.
_NAMES = {
    "PUT /api/v1/users/me/password": ("users", "set_my_password"),
    "POST /api/v1/users/me/token": ("users", "replace_my_token"),
    "POST /api/v1/users/{user}/token": ("users", "replace_token"),
    "PUT /api/v1/users/{user}/password": ("users", "set_password"),
    "DELETE /api/v1/users/{user}/password": ("users", "remove_password"),
    "GET /api/v1/users/{user}/tokens/": ("tokens", "list_of"),
    "POST /api/v1/users/{user}/tokens/": ("tokens", "create_for"),
    "DELETE /api/v1/users/{user}/tokens/{token}": ("tokens", "revoke_of"),
    "POST /api/v1/clusters/{cluster}/transfer": ("transfers", "offer"),
    "PUT /api/v1/clusters/{cluster}/transfer": ("transfers", "move"),
    "POST /api/v1/secrets/reseal": ("platform", "reseal_secrets"),
    "POST /api/v1/signing-keys/": ("platform", "rotate_signing_keys"),
    "GET /health": ("platform", "health"),
}


def description() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE.parent / "docs/openapi.json").read_text())
    return found


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path, and what is said of it."""
    for path, methods in sorted(description()["paths"].items()):
        for method, operation in sorted(methods.items()):
            yield method.upper(), path, operation


def place(method: str, path: str, operation: dict[str, Any]) -> tuple[str, str]:
    """The noun and the verb under which the client has it."""
    key = f"{method} {path}"
    if key in _NAMES:
        return _NAMES[key]
    nouns = [part for part in path.removeprefix("/api/v1/").split("/") if part and not part.startswith("{")]
    noun = next((part for part in nouns if part in ("grants", "identities")), nouns[0])
    verb = operation["operationId"].partition("_api_v1")[0]
    return noun, "list" if verb.startswith("list_") else verb


def models() -> str:
    schemas = description()["components"]["schemas"]
    known: dict[str, Any] = {_class(name): schema for name, schema in schemas.items()}
    rows = [
        _HEAD.format(what="What CMP is sent and answers, as dicts."),
        "from __future__ import annotations\n\n",
        "from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar\n\n",
        'T = TypeVar("T")\n\n\n',
        "class Listing(TypedDict, Generic[T]):\n",
        '    """One page; `next_cursor` is None on the last one."""\n\n',
        "    items: list[T]\n    next_cursor: str | None\n",
    ]
    enums = {name: schema for name, schema in known.items() if "enum" in schema}
    rows += [f"\n{name} = Literal[{', '.join(map(repr, schema['enum']))}]" for name, schema in sorted(enums.items())]
    rows.append("\n")
    for name, schema in sorted(known.items()):
        if name not in enums and not name.startswith("Listing_"):
            rows.append(_typed_dict(name, schema))
    return _formatted("".join(rows))


def calls(face: str) -> str:
    """`face`: Sync or Async."""
    rows = [
        _HEAD.format(what=f"Every call of the API, for the {face.lower()} client."),
        "from __future__ import annotations\n\nfrom collections.abc import Sequence\n",
        "from typing import TYPE_CHECKING, Any, Literal\n\n",
        "from cmpctl.client.core import Call, at\n",
        f"from cmpctl.client.faces import {face}Face, {face}Pages\n\n",
        "if TYPE_CHECKING:\n    from cmpctl.client import models\n",
    ]
    nouns: dict[str, list[str]] = {}
    for method, path, operation in operations():
        if f"{method} {path}" not in BY_HAND:
            noun, verb = place(method, path, operation)
            nouns.setdefault(noun, []).append(_method(face, verb, method, path, operation))
    for noun, methods in sorted(nouns.items()):
        rows.append(f"\n\nclass {_camel(noun)}({face}Face):\n" + "\n".join(methods))
    return _formatted("".join(rows))


def _method(face: str, verb: str, method: str, path: str, operation: dict[str, Any]) -> str:
    places, body, query, headers = _parameters(path, operation)
    answer = _answer(operation)
    listing = answer.startswith("models.Listing[")
    keywords = [f"{_safe(name)}: {kind} = None" for name, kind in query if not (listing and name == "cursor")]
    keywords += [f"{_safe(name)}: str | None = None" for name in headers]
    given = [f"{name}: str" for name in places] + ([f"body: models.{body}"] if body else [])
    signature = ", ".join(["self", *given, *(["*"] if keywords else []), *keywords])
    arguments = [repr(method), "at(" + ", ".join([repr(_template(path)), *places]) + ")"]
    if query:
        pairs = ", ".join(f"{name!r}: {_safe(name)}" for name, _ in query if not (listing and name == "cursor"))
        arguments.append(f"query={{{pairs}}}")
    if body:
        arguments.append("json=body")
    arguments += [f"{_safe(name)}={_safe(name)}" for name in headers]
    call = f"Call({', '.join(arguments)})"
    words = " ".join((operation["summary"] + ". " + operation.get("description", "")).split()).rstrip(". ") + "."
    if listing:
        item = answer.removeprefix("models.Listing[").removesuffix("]")
        head, kind, run = "def", f"{face}Pages[{item}]", f"self._pages({call})"
    else:
        head, kind = ("async def" if face == "Async" else "def"), answer
        run = f"{'await ' if face == 'Async' else ''}self._send({call})"
    if answer == "None":
        done = f"        {run}\n"
    elif listing:
        done = f"        return {run}\n"
    else:
        done = f"        answer: {kind} = {run}\n        return answer\n"
    return f"    {head} {verb}({signature}) -> {kind}:\n{_docstring(words, 8)}{done}"


def _parameters(path: str, operation: dict[str, Any]) -> tuple[list[str], str, list[tuple[str, str]], list[str]]:
    places = re.findall(r"{(\w+)}", path)
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    query, headers = [], []
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            kind = _type(parameter["schema"], "models.").replace("list[", "Sequence[")
            query.append((parameter["name"], kind if kind.endswith("None") else f"{kind} | None"))
        elif parameter["in"] == "header" and parameter["name"].lower() in ("idempotency-key", "if-match"):
            headers.append(parameter["name"].lower().replace("-", "_"))
    return places, _class(reference.rpartition("/")[2]) if reference else "", query, sorted(set(headers))


def _answer(operation: dict[str, Any]) -> str:
    kinds = []
    for status, answer in sorted(operation["responses"].items()):
        if not status.startswith("2"):
            continue
        content = answer.get("content", {})
        if "image/png" in content:
            kinds.append("bytes")
        elif "application/json" in content:
            kinds.append(_type(content["application/json"]["schema"], "models."))
        else:
            kinds.append("None")
    return " | ".join(dict.fromkeys(kinds))


def _typed_dict(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [f"\n\nclass {name}(TypedDict):\n"]
    words = " ".join(schema.get("description", "").split())
    if words:
        rows.append(_docstring(words, 4) + "\n")
    for key, value in sorted(schema.get("properties", {}).items()):
        kind = _type(value)
        rows.append(f"    {key}: {kind if key in required else f'NotRequired[{kind}]'}\n")
    return "".join(rows) + ("    pass\n" if not schema.get("properties") else "")


def _docstring(words: str, indent: int) -> str:
    words = words.replace("\\", "\\\\").replace('"', "'")
    first, *rest = textwrap.wrap(f'"""{words}', 112 - indent)
    margin = " " * indent
    return "".join(f"{margin}{line}\n" for line in [first, *rest])[:-1] + (f"\n{margin}" if rest else "") + '"""\n'


def _type(schema: dict[str, Any], prefix: str = "") -> str:
    if "$ref" in schema:
        name = _class(schema["$ref"].rpartition("/")[2])
        if name.startswith("Listing_"):
            return f"{prefix}Listing[{prefix}{name.removeprefix('Listing_').rstrip('_')}]"
        return f"{prefix}{name}"
    if "anyOf" in schema or "oneOf" in schema:
        kinds = dict.fromkeys(_type(one, prefix) for one in schema.get("anyOf") or schema["oneOf"])
        nothing = kinds.pop("None", 0) is None
        return " | ".join([*kinds, *(["None"] if nothing else [])])
    if "const" in schema or "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema.get('enum') or [schema['const']]))}]"
    kind = schema.get("type")
    if kind == "array":
        return f"list[{_type(schema['items'], prefix)}]"
    if kind == "object":
        values = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
        return f"dict[str, {_type(values, prefix)}]" if isinstance(values, dict) else "dict[str, Any]"
    plain = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
    return plain.get(str(kind), "Any")


def _class(name: str) -> str:
    if name.startswith("app__schemas__"):
        name = "".join(part.capitalize() if part.islower() else part for part in name.split("__")[2:])
    return name.replace("-", "")


def _camel(noun: str) -> str:
    return "".join(part.capitalize() for part in noun.split("-"))


def _safe(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _template(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)


def _formatted(text: str) -> str:
    for command in (("check", "--quiet", "--fix-only", "--select", "I,UP037,F401"), ("format", "--quiet")):
        line = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(HERE / "client/x.py"), "-"]
        text = subprocess.run(line, input=text, capture_output=True, text=True, check=True).stdout
    return text


def reference() -> str:
    """docs/cli.md: every command with its options."""
    from cmpctl import main

    rows = [
        "# cmpctl",
        "",
        "Generated from the commands by `make docs`. How to begin: [cmpctl/README.md](../cmpctl/README.md).",
        "",
        "## Exit codes",
        "",
        "| code | meaning |",
        "|---|---|",
        *[f"| {code} | {words} |" for code, words in main.EXIT_CODES.items()],
        "",
        "`cmpctl exec` and `cmpctl ssh` exit as the command does.",
        "",
        "## Environment",
        "",
        "| variable | meaning |",
        "|---|---|",
        *[f"| `{name}` | {words} |" for name, words in main.ENVIRONMENT.items()],
    ]
    rows += _command(main.root, click.Context(main.root, info_name="cmpctl"))
    return "\n".join(rows) + "\n"


def _command(command: click.Command, context: click.Context) -> list[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    rows = ["", f"## {context.command_path}", "", "```", f"{context.command_path} {usage}", "```"]
    words = textwrap.dedent(inspect.cleandoc(command.help or ""))
    if words:
        rows += ["", _prose(words)]
    options = [one for one in command.params if isinstance(one, click.Option)]
    if options:
        rows += ["", "| option | meaning |", "|---|---|"]
        for option in options:
            names, meaning = option.get_help_record(context) or ("", "")
            rows.append(f"| `{names}` | {meaning} |".replace("|-", r"\|-").replace("|@", r"\|@"))
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            rows += _command(inner, click.Context(inner, info_name=name, parent=context))
    return rows


def _prose(words: str) -> str:
    """Click's help as Markdown: what stands behind \\b is code."""
    shown = []
    for part in words.split("\n\n"):
        code = part.startswith("\b\n")
        shown.append(f"```sh\n{part[2:]}\n```" if code else " ".join(part.split()))
    return "\n\n".join(shown)


FILES = {
    "docs/cli.md": reference,
    "cmpctl/client/models.py": models,
    "cmpctl/client/sync_calls.py": lambda: calls("Sync"),
    "cmpctl/client/async_calls.py": lambda: calls("Async"),
}
