"""Roles and what they may."""

import uuid

import pytest

from app.models import Role
from app.rules.access import PERMISSIONS, TABLE, Permission, Viewer


@pytest.mark.parametrize("role", Role)
def test_every_role_has_its_permissions(role: Role) -> None:
    viewer = Viewer(uuid.uuid4(), "ada", role)
    assert {permission for permission in Permission if viewer.may(permission)} == PERMISSIONS[role]
    assert viewer.account_id == viewer.user_id


def test_an_administrator_may_all_and_a_user_nothing_about_others() -> None:
    assert PERMISSIONS[Role.ADMIN] == set(Permission)
    others = {Permission.EVERYONES, Permission.USERS_READ, Permission.USERS_WRITE}
    assert not (PERMISSIONS[Role.USER] | PERMISSIONS[Role.VIEWER]) & others


def test_an_operator_changes_no_users_and_a_viewer_nothing_but_its_token() -> None:
    assert set(Permission) - PERMISSIONS[Role.OPERATOR] == {
        Permission.USERS_WRITE,
        Permission.CATALOGUE_WRITE,
        Permission.PLATFORM_WRITE,
    }
    reading = {Permission.CLUSTERS_READ, Permission.INSTANCES_LOGS, Permission.SELF_READ, Permission.CATALOGUE_READ}
    assert PERMISSIONS[Role.VIEWER] == reading | {Permission.TOKENS_WRITE}


def test_the_table_names_every_permission_and_only_roles() -> None:
    assert set(TABLE) == set(Permission)
    assert {role for roles, _, _ in TABLE.values() for role in roles.split()} == set(Role)
