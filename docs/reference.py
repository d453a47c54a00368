"""The pages of the reference that are made from the API's description and the table of errors."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app import errors as family
from app.routers import problems

_Json = Mapping[str, Any]


def api(description: _Json, needed: Callable[[str, str], str]) -> str:
    """Every operation, and every schema that one of them names."""
    rows = [
        "# API",
        "",
        "Generated from the API's description ([openapi.json](openapi.json)) by `make docs`. A running CMP shows the",
        "same at `/docs`. Errors are [problem documents](errors.md).",
    ]
    for tag, operations in sorted(_by_tag(description).items()):
        rows += ["", f"## {tag}"]
        for method, path, operation in operations:
            rows += ["", f"### `{method} {path}`", "", *_operation(operation, needed(method, path))]
    rows += ["", "## Schemas"]
    for name, schema in sorted(description["components"]["schemas"].items()):
        rows += ["", f"### {name}", "", *_schema(schema)]
    return "\n".join(rows) + "\n"


def errors() -> str:
    """Every code that an answer may carry."""
    rows = [
        "# Errors",
        "",
        "Generated from `app/errors.py` and `app/routers/problems.py` by `make docs`. An error is",
        "`application/problem+json` (RFC 9457): `code` says what it is and stays the same, `detail` says it in words,",
        "`request_id` finds it in the logs. Nothing that was sent is repeated.",
        "",
        "| code | status | what it means | trying again may help |",
        "|---|---|---|---|",
    ]
    meanings = dict(re.findall(r"[├└]── (\w+) +(.+)", family.__doc__ or ""))
    for kind in _kinds(family.CmpError):
        if kind.__name__ in meanings:
            again = "yes, after `Retry-After`" if kind.retryable else ""
            meaning = meanings[kind.__name__].strip()
            rows.append(f"| `{kind.code}` | {problems.status_of(kind(''))} | {meaning} | {again} |")
    for status, code in problems.CODES.items():
        rows.append(
            f"| `{code}` | {status} | {problems.HTTP_WORDS.get(status, problems.HTTPStatus(status).phrase)} | |"
        )
    rows.append("| `internal` | 500 | A fault of CMP's own; the log has it under the request id. | |")
    return "\n".join(rows) + "\n"


def _kinds(kind: type[family.CmpError]) -> Iterator[type[family.CmpError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)


def _by_tag(description: _Json) -> dict[str, list[tuple[str, str, _Json]]]:
    found: dict[str, list[tuple[str, str, _Json]]] = {}
    for path, methods in sorted(description["paths"].items()):
        for method, operation in methods.items():
            found.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    return found


def _operation(operation: _Json, needs: str) -> Iterator[str]:
    yield f"{operation['summary']}. Needs {needs}."
    if text := operation.get("description"):
        yield from ("", _plain(text))
    parameters = operation.get("parameters", [])
    if parameters:
        yield from ("", "| parameter | in | type | meaning |", "|---|---|---|---|")
    for parameter in parameters:
        kind, meaning = _type(parameter["schema"]), _cell(parameter.get("description", ""))
        yield f"| `{parameter['name']}` | {parameter['in']} | {kind} | {meaning} |"
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from ("", f"Body: {_type(content['schema'])} as `{media}`.")
    answers = (f"`{status}` {_answer(answer)}".strip() for status, answer in operation["responses"].items())
    yield from ("", f"Answers: {'; '.join(answers)}.")


def _answer(answer: _Json) -> str:
    schemas = {_type(content["schema"]) for content in answer.get("content", {}).values() if content.get("schema")}
    return " or ".join(sorted(schemas - {"any", "[Problem](#problem)"}))


def _schema(schema: _Json) -> Iterator[str]:
    if text := schema.get("description"):
        yield from (_plain(text), "")
    properties = schema.get("properties", {})
    if not properties:
        yield f"{_type({key: value for key, value in schema.items() if key != 'title'})}."
        return
    yield from ("| field | type | meaning |", "|---|---|---|")
    for name, field in properties.items():
        needed = ", required" if name in schema.get("required", []) else ""
        yield f"| `{name}` | {_type(field)}{needed} | {_cell(field.get('description', ''))} |"


def _type(schema: _Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[word]))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    inner = schema.get("additionalProperties")
    if schema.get("type") == "object" and isinstance(inner, Mapping):
        return f"map of {_type(inner)}"
    return str(schema.get("type", "any"))


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("\n", " ")


def _plain(text: str) -> str:
    return text.replace("<", "&lt;")
