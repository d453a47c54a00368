"""The house's rules as checks: who may import whom, how long a file may be, and that no place is forgotten."""

import json
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest
from fastapi import APIRouter
from starlette.routing import Route

from app import schemas
from app.k8s_service import INSTANCE_TYPES
from app.models import InstanceStatus, InstanceType, QuotaStrategy, Reason
from app.routers import console
from app.routers.access import declared
from app.rules import lifecycle, naming, reasons
from app.settings import Settings
from main import create_app

ROOT = Path(__file__).parents[2]
LONGEST = 400

# Every path of the architecture document.
DOCUMENT = [
    ("post", "/api/v1/users/"),
    ("get", "/api/v1/users/me"),
    ("get", "/api/v1/users/me/quota"),
    ("get", "/api/v1/users/"),
    ("post", "/api/v1/clusters/"),
    ("get", "/api/v1/clusters/"),
    ("get", "/api/v1/clusters/{cluster}"),
    ("delete", "/api/v1/clusters/{cluster}"),
    ("get", "/api/v1/instances/{instance}"),
    ("post", "/api/v1/instances/{instance}/operate"),
    ("get", "/health"),
]

# Whoever comes there has yet to say who they are, or need not.
PUBLIC = {
    *("/health", "/livez", "/readyz"),
    *("/login", "/logout", "/sso/login", "/sso/callback", "/device"),
    *("/oauth/token", "/oauth/revoke", "/oauth/device_authorization", "/oauth/jwks.json"),
    "/.well-known/oauth-authorization-server",
    *("/", "/assets/{name}", *(f"/{page}{rest}" for page in console.PAGES for rest in ("", "/{rest:path}"))),
}


def test_imports_only_go_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_files_stay_short() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    long = {
        name: lines
        for name in listed.stdout.split()
        if (ROOT / name).exists()
        and "Generated from" not in (text := (ROOT / name).read_text())[:120]
        and (lines := len(text.splitlines())) > LONGEST
        and "migrations/versions" not in name
    }
    assert long == {}, "a file that grows past this becomes a folder of the same name"


@pytest.mark.parametrize("instance_type", list(InstanceType))
def test_an_instance_type_is_everywhere_it_must_be(instance_type: InstanceType) -> None:
    driver = INSTANCE_TYPES.get(instance_type)
    assert driver is not None, "add it to INSTANCE_TYPES in app/k8s_service/service.py"
    resource = naming.kubernetes_resource(instance_type, "x")
    assert resource.endswith("/x"), "add it to _RESOURCES in app/rules/naming.py"
    golden = list((ROOT / "tests/unit/instance_types").rglob(f"*{instance_type}*"))
    assert golden, f"write its golden manifest in tests/unit/instance_types, named with {instance_type}"


def test_every_status_reason_and_strategy_is_explained() -> None:
    from app.auth import QUOTA_STRATEGIES

    for status in InstanceStatus:
        assert lifecycle.allowed_operations(status, "freeze") is not None
    assert set(reasons.EXPLANATIONS) == set(Reason), "say it in app/rules/reasons.py"
    assert set(QUOTA_STRATEGIES) == set(QuotaStrategy), "add it to QUOTA_STRATEGIES in app/auth/quota.py"


@pytest.mark.parametrize(("method", "path"), DOCUMENT)
def test_the_paths_of_the_architecture_document(method: str, path: str) -> None:
    assert method in create_app(Settings.model_construct()).openapi()["paths"].get(path, {})


def test_every_operation_describes_its_answers() -> None:
    for path, methods in create_app(Settings.model_construct()).openapi()["paths"].items():
        for method, operation in methods.items():
            assert operation.get("summary"), f"{method} {path}"
            good = [code for code in operation["responses"] if code.startswith("2")]
            assert good, f"{method} {path}"
            if path.startswith("/api/"):
                assert {"401", "503"} <= set(operation["responses"]), f"{method} {path}"


def test_every_route_declares_what_it_needs() -> None:
    app = create_app(Settings.model_construct())
    said = declared(app.routes)
    undecided = {route for route, needed in said.items() if len(needed) != 1}
    assert undecided == set(), "give it `dependencies=[needs(Permission.…)]`, or PUBLIC, of app/routers/access.py"
    described = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert described <= set(said)
    public = {path for (_, path), needed in said.items() if needed == [None]}
    streams = {path for method, path in said if method == "WEBSOCKET"}
    assert public == PUBLIC | streams, "streams: a GET that is no WebSocket is told to be one"


def test_a_route_without_a_declaration_is_found() -> None:
    app = create_app(Settings.model_construct())
    router = APIRouter(prefix="/things")
    router.add_api_route("/", lambda: None)
    router.add_api_websocket_route("/stream", lambda _websocket: None)
    app.include_router(router, prefix="/api/v1")
    found = {route for route, needed in declared(app.routes).items() if needed == []}
    assert found == {("GET", "/api/v1/things/"), ("WEBSOCKET", "/api/v1/things/stream")}


def test_what_is_no_route_of_ours_is_the_description() -> None:
    others = {route.path for route in create_app(Settings.model_construct()).routes if type(route) is Route}
    assert others == {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}


def test_generated_documents_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "schema",
    [
        s
        for s in vars(schemas).values()
        if isinstance(s, type) and issubclass(s, pydantic.BaseModel) and s.__module__.startswith(f"{schemas.__name__}.")
    ],
)
def test_examples_are_what_they_stand_for(schema: type[pydantic.BaseModel]) -> None:
    if schema.__pydantic_generic_metadata__["parameters"]:
        return
    for example in schema.model_json_schema().get("examples", []):
        schema.model_validate_json(json.dumps(example))
