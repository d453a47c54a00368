"""SSH keys that are saved under a name, and the names in a wish become the keys."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import uuid_utils.compat as uuids

from app import auth
from app.database import Session
from app.errors import Conflict, Invalid, NameTaken, NotFound
from app.models import SshKey
from app.rules import ssh_keys as rules
from app.rules.access import Viewer
from app.store import events, ledger, ssh_keys

MOST = 64


async def create(session: Session, viewer: Viewer, name: str, public_key: str, request_id: str) -> SshKey:
    """Raises NameTaken, Conflict; Unauthenticated, where the user has just been deleted."""
    if await ledger.lock_account(session, viewer.account_id) is None:
        raise auth.not_known()
    saved = await ssh_keys.list_for(session, viewer)
    fingerprint = rules.fingerprint(public_key)
    if any(row.name == name for row in saved):
        raise NameTaken("You have an SSH key of that name. Choose another name, or delete the key that has it.")
    same = next((row for row in saved if row.fingerprint == fingerprint), None)
    if same is not None:
        raise Conflict(f"You saved this SSH key already: it is called {same.name}.")
    if len(saved) >= MOST:
        raise Conflict(f"A user has at most {MOST} SSH keys. Delete one that is no longer used.")
    key = SshKey(
        id=uuids.uuid7(),
        user_id=viewer.user_id,
        name=name,
        public_key=public_key,
        fingerprint=fingerprint,
        created_at=datetime.now(UTC),
    )
    await ssh_keys.add(session, key)
    await _note(session, "ssh_key.created", viewer, key, request_id)
    return key


async def load(session: Session, viewer: Viewer, key: uuid.UUID | str) -> SshKey:
    """Raises NotFound."""
    found = await ssh_keys.get(session, viewer, key)
    if found is None:
        raise NotFound("There is no such SSH key. List them to see their names and ids.")
    return found


async def delete(session: Session, viewer: Viewer, key: uuid.UUID | str, request_id: str) -> None:
    """VMs that were given it keep it."""
    await ledger.lock_account(session, viewer.account_id)
    found = await load(session, viewer, key)
    await _note(session, "ssh_key.deleted", viewer, found, request_id)
    await ssh_keys.remove(session, found.id)


def has_names(spec: Mapping[str, Any]) -> bool:
    """Whether `resolved` has something to look up."""
    return any(map(rules.is_name, spec.get("ssh_keys") or ()))


async def resolved(session: Session, viewer: Viewer, spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """`spec` with the viewer's own keys in place of their names. Raises Invalid."""
    if not has_names(spec):
        return spec
    saved = {row.name: row.public_key for row in await ssh_keys.list_for(session, viewer)}
    keys: list[str] = spec["ssh_keys"]
    for position, key in enumerate(keys):
        if rules.is_name(key) and key not in saved:
            raise Invalid(
                f"vm.ssh_keys.{position}: you have no SSH key of that name. See yours with GET /api/v1/ssh-keys/ or "
                "`cmpctl ssh-keys list`."
            )
    return {**spec, "ssh_keys": list(dict.fromkeys(saved.get(key, key) for key in keys))}


async def _note(session: Session, kind: str, viewer: Viewer, key: SshKey, request_id: str) -> None:
    message = f"{key.name} ({key.fingerprint})"
    await events.add(
        session, kind=kind, actor=viewer.username, owner_id=viewer.user_id, message=message, request_id=request_id
    )
