"""A new key for secrets: nothing is lost, and the old one can go."""

from pathlib import Path

import sqlalchemy as sa
from pydantic import SecretStr

from app.models import Cluster, SigningKey
from app.rules.sealing import Sealer, keys_of, new_key
from tests.api.programs import signed_in, with_password
from tests.api.running import running_api, wish
from tests.conftest import Databases

SECRETS = {"secret_env": {"TOKEN": "canary of the cluster"}}


async def test_what_the_old_key_sealed_is_sealed_with_the_new_one(databases: Databases, tmp_path: Path) -> None:
    url, old, new = await databases.migrated(), new_key(), new_key()
    async with running_api(url, tmp_path, secret_key=SecretStr(old)) as api:
        user = await with_password(api)
        made = await user.post("/clusters/", json=wish("sealed", container=SECRETS))
        assert made.status_code == 201, made.text
        granted = await signed_in(api, user)
    async with running_api(url, tmp_path, secret_key=SecretStr(f"{new},{old}")) as api:
        answer = await api.admin.post("/secrets/reseal")
        assert answer.json() == {"resealed": 2, "unreadable": 0}
        assert (await api.admin.post("/secrets/reseal")).json() == {"resealed": 0, "unreadable": 0}
        assert (await api.caller(user.token).post("/secrets/reseal")).status_code == 403
    async with running_api(url, tmp_path, secret_key=SecretStr(new)) as api:
        caller = api.caller(granted["access_token"])
        assert (await caller.get("/users/me")).status_code == 200
        assert (await signed_in(api, user))["access_token"]
        async with api.database.reading() as session:
            kept = (await session.execute(sa.select(Cluster.id, Cluster.secrets))).one()
            keys = (await session.execute(sa.select(SigningKey.private))).scalars().all()
        assert "canary" not in str(kept)
        assert "canary of the cluster" in str(Sealer(keys_of(new)).open(str(kept[1]), str(kept[0])))
        assert len(keys) == 1
    async with running_api(url, tmp_path, secret_key=SecretStr(new_key())) as api:
        assert (await api.admin.post("/secrets/reseal")).json() == {"resealed": 0, "unreadable": 2}
