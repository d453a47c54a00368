"""Roles and what they may."""

import uuid

import pytest

from app.models import Role
from app.rules.access import PERMISSIONS, Permission, Viewer


@pytest.mark.parametrize("role", Role)
def test_every_role_has_its_permissions(role: Role) -> None:
    viewer = Viewer(uuid.uuid4(), "ada", role)
    assert {permission for permission in Permission if viewer.may(permission)} == PERMISSIONS[role]
    assert viewer.account_id == viewer.user_id


def test_an_administrator_may_all_and_a_user_nothing_about_others() -> None:
    assert PERMISSIONS[Role.ADMIN] == set(Permission)
    others = {Permission.EVERYONES, Permission.USERS_READ, Permission.USERS_WRITE}
    assert not PERMISSIONS[Role.USER] & others
