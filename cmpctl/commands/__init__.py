"""The commands, a file for each noun."""

import click


def sections() -> dict[str, list[click.Command]]:
    """In the order in which `cmpctl --help` lists them."""
    from cmpctl.commands import (
        account,
        admin,
        apply,
        audit,
        catalogue,
        clusters,
        instances,
        notifications,
        operations,
        raw,
        reach,
        sharing,
        ssh_keys,
        tokens,
        users,
    )

    return {
        "Every day": [
            account.login,
            clusters.launch,
            clusters.ps,
            *instances.VERBS,
            clusters.scale,
            clusters.remove,
            reach.logs,
            reach.execute,
            reach.console,
            reach.ssh,
            reach.port_forward,
            operations.wait,
            apply.apply,
        ],
        "What there is": [
            clusters.clusters,
            instances.instances,
            operations.operations,
            operations.events,
            sharing.share,
            sharing.transfers,
            catalogue.flavours,
            catalogue.images,
            account.quota,
        ],
        "You": [
            account.whoami,
            account.profiles,
            tokens.tokens,
            ssh_keys.ssh_keys,
            notifications.notifications,
            account.password,
            account.logout,
        ],
        "The platform": [users.users, admin.admin, catalogue.policy, audit.audit],
        "Beside": [raw.api, raw.version, raw.completion],
    }
