"""Writes the files that are derived from the code, which are named below; `--check`: are they fresh?"""

import json
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import reference  # noqa: E402

from app.kube.rights import RIGHTS  # noqa: E402
from app.models import Role  # noqa: E402
from app.routers.access import declared  # noqa: E402
from app.rules.access import PERMISSIONS, TABLE  # noqa: E402
from app.settings import Settings  # noqa: E402
from app.telemetry import metrics as exported  # noqa: E402
from cmpctl import generate as client  # noqa: E402
from docs import dashboards  # noqa: E402
from main import create_app  # noqa: E402


def openapi() -> str:
    """The API's description, as /openapi.json serves it."""
    app = create_app(Settings.model_construct())
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def api() -> str:
    """Every operation and every schema, to be read by people."""
    app = create_app(Settings.model_construct())
    needed = {route: need for route, (need,) in declared(app.routes).items()}

    def needs(method: str, path: str) -> str:
        need = needed.get((method, path)) or needed.get(("WEBSOCKET", path))
        return f"`{need}`" if need else "nothing"

    return reference.api(app.openapi(), needs)


def settings() -> str:
    """Every environment variable that CMP reads, with its default."""
    rows = [
        "# Settings",
        "",
        "Environment variables, read once at the start. Generated from `app/settings.py` by `make docs`.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = "" if default is None else f"`{default}`"
        rows.append(f"| `CMP_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


def permissions() -> str:
    """What each role may, and what each route needs."""
    rows = [
        "# Permissions",
        "",
        "Generated from `app/rules/access.py` and the routes by `make docs`. Why it is so:",
        "[ADR 0035](adr/0035-one-table-of-permissions.md).",
        "",
        f"| permission | {' | '.join(Role)} | scopes that leave it | what it is |",
        f"|---|{'---|' * len(Role)}---|---|",
    ]
    for permission, (_, scopes, meaning) in TABLE.items():
        marks = " | ".join("yes" if permission in PERMISSIONS[role] else "" for role in Role)
        rows.append(f"| `{permission}` | {marks} | {scopes.replace(' ', ', ')} | {meaning} |")
    rows += ["", "| route | needs |", "|---|---|"]
    for (method, path), (needed,) in sorted(declared(create_app(Settings.model_construct()).routes).items(), key=_path):
        rows.append(f"| `{method} {path}` | {f'`{needed}`' if needed else 'nothing: public'} |")
    return "\n".join(rows) + "\n"


def metrics() -> str:
    """What CMP exports to Prometheus."""
    rows = [
        "# Metrics",
        "",
        "Generated from `app/telemetry/metrics.py` by `make docs`. Where to read them, and why so:",
        "[ADR 0047](adr/0047-metrics.md). Beside these there are `process_*` and `python_*` of the process itself.",
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for family in exported.families():
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{family.name}` | {family.type} | {labels} | {family.meaning} |")
    return "\n".join(rows) + "\n"


def rights() -> str:
    """What CMP may do in Kubernetes, as a ClusterRole."""
    rows = [
        "# The least that CMP needs, API and workers alike. Generated from app/kube/rights.py by `make docs`; the",
        "# tests on a real API server run with exactly this, inside the fence of deploy/kubernetes/fence.yaml.",
        "apiVersion: rbac.authorization.k8s.io/v1",
        "kind: ClusterRole",
        "metadata:",
        "  name: cmp",
        "rules:",
    ]
    for right in RIGHTS:
        rows += [f"  # {right.why}"] if right.why else []
        rows.append(f"  - apiGroups: [{right.group or json.dumps('')}]")
        listed = [("resources", right.resources), ("verbs", right.verbs)]
        rows += [f"    {name}: [{', '.join(words.split())}]" for name, words in listed]
    return "\n".join(rows) + "\n"


def _path(item: tuple[tuple[str, str], object]) -> tuple[str, str]:
    (method, path), _ = item
    return path, method


FILES = {
    "docs/openapi.json": openapi,
    "docs/api.md": api,
    "docs/errors.md": reference.errors,
    "docs/settings.md": settings,
    "docs/permissions.md": permissions,
    "docs/metrics.md": metrics,
    "deploy/kubernetes/rbac.yaml": rights,
    **client.FILES,
    **{f"deploy/monitoring/dashboards/{name}.json": partial(dashboards.text, name) for name in dashboards.DASHBOARDS},
}


def main() -> int:
    stale = []
    for name, make in FILES.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(text)
    if not stale:
        return 0
    verb = "is not what the code says: run `make docs`" if "--check" in sys.argv else "written"
    print("\n".join(f"{name} {verb}" for name in stale))
    return 1 if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
