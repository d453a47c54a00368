"""Every call of the API, for the async client. Generated from docs/openapi.json by `make docs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from cmpctl.client.core import Call, at
from cmpctl.client.faces import AsyncFace, AsyncPages

if TYPE_CHECKING:
    from cmpctl.client import models


class Audit(AsyncFace):
    def list(
        self,
        *,
        limit: int | None = None,
        sort: Literal["created_at", "-created_at"] | None = None,
        everyones: bool | None = None,
        actor: str | None = None,
        method: Literal["POST", "PUT", "PATCH", "DELETE", "GET", "WEBSOCKET"] | None = None,
        outcome: models.AuditOutcome | None = None,
        request_id: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> AsyncPages[models.AuditRead]:
        """Who tried what."""
        return self._pages(
            Call(
                "GET",
                at("/api/v1/audit/"),
                query={
                    "limit": limit,
                    "sort": sort,
                    "everyones": everyones,
                    "actor": actor,
                    "method": method,
                    "outcome": outcome,
                    "request_id": request_id,
                    "since": since,
                    "until": until,
                },
            )
        )

    async def verify(self) -> models.AuditVerified:
        """Whether the trail still fits together (administrators, operators)."""
        answer: models.AuditVerified = await self._send(Call("GET", at("/api/v1/audit/verify")))
        return answer


class Clusters(AsyncFace):
    def list(
        self,
        *,
        limit: int | None = None,
        sort: Literal["created_at", "-created_at", "name", "-name"] | None = None,
        name: str | None = None,
        phase: models.ClusterPhase | None = None,
        instance_type: models.InstanceType | None = None,
        label: Sequence[str] | None = None,
        owner: str | None = None,
        shared: bool | None = None,
    ) -> AsyncPages[models.ClusterSummary]:
        """List your clusters, newest first."""
        return self._pages(
            Call(
                "GET",
                at("/api/v1/clusters/"),
                query={
                    "limit": limit,
                    "sort": sort,
                    "name": name,
                    "phase": phase,
                    "instance_type": instance_type,
                    "label": label,
                    "owner": owner,
                    "shared": shared,
                },
            )
        )

    async def create(
        self, body: models.ClusterCreate, *, wait: int | None = None, idempotency_key: str | None = None
    ) -> models.ClusterRead:
        """Create a cluster. Answers at once, with the operation that makes it so; `wait` waits for that to
        finish. The size is a flavour of the catalogue, or CPU and memory where the policy allows that; likewise
        the image. What was chosen though it is deprecated is named in the header `Warning`.
        """
        answer: models.ClusterRead = await self._send(
            Call("POST", at("/api/v1/clusters/"), query={"wait": wait}, json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def delete_many(self, body: models.BulkDelete, *, idempotency_key: str | None = None) -> models.BulkResult:
        """Delete many clusters."""
        answer: models.BulkResult = await self._send(
            Call("POST", at("/api/v1/clusters/delete"), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def delete(self, cluster: str, *, wait: int | None = None, if_match: str | None = None) -> models.Accepted:
        """Delete a cluster. Its quota is released when Kubernetes has let go of all of it; `wait` waits for
        that.
        """
        answer: models.Accepted = await self._send(
            Call("DELETE", at("/api/v1/clusters/{}", cluster), query={"wait": wait}, if_match=if_match)
        )
        return answer

    async def get(self, cluster: str) -> models.ClusterRead:
        """One cluster, with its instances."""
        answer: models.ClusterRead = await self._send(Call("GET", at("/api/v1/clusters/{}", cluster)))
        return answer

    async def change(
        self, cluster: str, body: models.ClusterChange, *, wait: int | None = None, if_match: str | None = None
    ) -> models.ClusterRead:
        """Change a cluster: size, image, settings, labels. Containers are resized where they run, and made
        again for another image or other settings: at most `max_unavailable` are down at a time, the lowest
        numbers go first, and the first that fails ends it. VMs take everything up at their next start;
        `restart_required` says which wait for one. While a change goes round the larger size is charged.
        """
        answer: models.ClusterRead = await self._send(
            Call("PATCH", at("/api/v1/clusters/{}", cluster), query={"wait": wait}, json=body, if_match=if_match)
        )
        return answer

    async def operate(
        self, cluster: str, body: models.Operate, *, idempotency_key: str | None = None
    ) -> models.BulkResult:
        """Operate on all instances of a cluster."""
        answer: models.BulkResult = await self._send(
            Call("POST", at("/api/v1/clusters/{}/operate", cluster), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def scale(
        self,
        cluster: str,
        body: models.ClusterScale,
        *,
        wait: int | None = None,
        idempotency_key: str | None = None,
        if_match: str | None = None,
    ) -> models.ClusterRead:
        """Give a cluster more instances, or fewer. New instances take the lowest free numbers. The highest
        numbers go, unless `remove` names others. Quota of what goes is released when Kubernetes has let go of
        it; `wait` waits for that.
        """
        answer: models.ClusterRead = await self._send(
            Call(
                "POST",
                at("/api/v1/clusters/{}/scale", cluster),
                query={"wait": wait},
                json=body,
                idempotency_key=idempotency_key,
                if_match=if_match,
            )
        )
        return answer


class Events(AsyncFace):
    def history(
        self,
        *,
        limit: int | None = None,
        sort: Literal["created_at", "-created_at"] | None = None,
        cluster_id: str | None = None,
        everyones: bool | None = None,
    ) -> AsyncPages[models.EventRead]:
        """List past events, newest first."""
        return self._pages(
            Call(
                "GET",
                at("/api/v1/events/history"),
                query={"limit": limit, "sort": sort, "cluster_id": cluster_id, "everyones": everyones},
            )
        )


class Flavours(AsyncFace):
    def list(
        self,
        *,
        limit: int | None = None,
        sort: Literal["created_at", "-created_at", "name", "-name"] | None = None,
        instance_type: models.InstanceType | None = None,
        deprecated: bool | None = None,
    ) -> AsyncPages[models.FlavourRead]:
        """The sizes that can be chosen by name. `instance_type` finds the flavours of that type and those of
        every type.
        """
        return self._pages(
            Call(
                "GET",
                at("/api/v1/flavours/"),
                query={"limit": limit, "sort": sort, "instance_type": instance_type, "deprecated": deprecated},
            )
        )

    async def create(self, body: models.FlavourCreate, *, idempotency_key: str | None = None) -> models.FlavourRead:
        """Offer a flavour (administrators)."""
        answer: models.FlavourRead = await self._send(
            Call("POST", at("/api/v1/flavours/"), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def delete(self, flavour: str, *, if_match: str | None = None) -> None:
        """Take a flavour out of the catalogue (administrators). Clusters that were made from it keep their
        size, and its name.
        """
        await self._send(Call("DELETE", at("/api/v1/flavours/{}", flavour), if_match=if_match))

    async def get(self, flavour: str) -> models.FlavourRead:
        """One flavour."""
        answer: models.FlavourRead = await self._send(Call("GET", at("/api/v1/flavours/{}", flavour)))
        return answer

    async def change(
        self, flavour: str, body: models.FlavourChange, *, if_match: str | None = None
    ) -> models.FlavourRead:
        """Deprecate, hide or describe a flavour, or make it the default (administrators)."""
        answer: models.FlavourRead = await self._send(
            Call("PATCH", at("/api/v1/flavours/{}", flavour), json=body, if_match=if_match)
        )
        return answer


class Grants(AsyncFace):
    def list(self, cluster: str) -> AsyncPages[models.GrantRead]:
        """Whom a cluster is shared with. All of them to its owner; to whom it is shared with, their own."""
        return self._pages(Call("GET", at("/api/v1/clusters/{}/grants/", cluster)))

    async def delete(self, cluster: str, user: str) -> None:
        """Share a cluster with a user no longer. By its owner, or by whom it is shared with. 204 also where
        there is no such grant.
        """
        await self._send(Call("DELETE", at("/api/v1/clusters/{}/grants/{}", cluster, user)))

    async def get(self, cluster: str, user: str) -> models.GrantRead:
        """What a user may with a cluster."""
        answer: models.GrantRead = await self._send(Call("GET", at("/api/v1/clusters/{}/grants/{}", cluster, user)))
        return answer

    async def put(self, cluster: str, user: str, body: models.GrantPut) -> models.GrantRead:
        """Share a cluster with a user. Only by its owner, or whoever looks after everybody's. Quota stays the
        owner's.
        """
        answer: models.GrantRead = await self._send(
            Call("PUT", at("/api/v1/clusters/{}/grants/{}", cluster, user), json=body)
        )
        return answer


class Identities(AsyncFace):
    def list(self, user: str) -> AsyncPages[models.IdentityRead]:
        """Whom single sign-on takes for this user (administrators, operators)."""
        return self._pages(Call("GET", at("/api/v1/users/{}/identities", user)))

    async def link(
        self, user: str, body: models.IdentityCreate, *, idempotency_key: str | None = None
    ) -> models.IdentityRead:
        """Link a provider's subject to a user (administrators). People link their own by signing in with the
        provider while they are signed in here.
        """
        answer: models.IdentityRead = await self._send(
            Call("POST", at("/api/v1/users/{}/identities", user), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def unlink(self, user: str, identity: str) -> None:
        """Unlink a provider's subject (administrators). All sign-ins of the user end."""
        await self._send(Call("DELETE", at("/api/v1/users/{}/identities/{}", user, identity)))


class Images(AsyncFace):
    def list(
        self,
        *,
        limit: int | None = None,
        sort: Literal["created_at", "-created_at", "name", "-name"] | None = None,
        instance_type: models.InstanceType | None = None,
        deprecated: bool | None = None,
    ) -> AsyncPages[models.ImageRead]:
        """The images that can be chosen by name."""
        return self._pages(
            Call(
                "GET",
                at("/api/v1/images/"),
                query={"limit": limit, "sort": sort, "instance_type": instance_type, "deprecated": deprecated},
            )
        )

    async def create(self, body: models.ImageCreate, *, idempotency_key: str | None = None) -> models.ImageRead:
        """Offer an image (administrators)."""
        answer: models.ImageRead = await self._send(
            Call("POST", at("/api/v1/images/"), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def delete(self, image: str, *, if_match: str | None = None) -> None:
        """Take an image out of the catalogue (administrators). Clusters that were made from it keep its
        reference, and its name.
        """
        await self._send(Call("DELETE", at("/api/v1/images/{}", image), if_match=if_match))

    async def get(self, image: str) -> models.ImageRead:
        """One image."""
        answer: models.ImageRead = await self._send(Call("GET", at("/api/v1/images/{}", image)))
        return answer

    async def change(self, image: str, body: models.ImageChange, *, if_match: str | None = None) -> models.ImageRead:
        """Deprecate, hide or describe an image, change what it refers to, or make it the default
        (administrators). Clusters that were made from it keep the reference that it had.
        """
        answer: models.ImageRead = await self._send(
            Call("PATCH", at("/api/v1/images/{}", image), json=body, if_match=if_match)
        )
        return answer


class Instances(AsyncFace):
    def list(
        self,
        *,
        limit: int | None = None,
        sort: Literal["created_at", "-created_at", "name", "-name"] | None = None,
        name: str | None = None,
        status: models.InstanceStatus | None = None,
        instance_type: models.InstanceType | None = None,
        cluster: str | None = None,
    ) -> AsyncPages[models.InstanceRead]:
        """List your instances."""
        return self._pages(
            Call(
                "GET",
                at("/api/v1/instances/"),
                query={
                    "limit": limit,
                    "sort": sort,
                    "name": name,
                    "status": status,
                    "instance_type": instance_type,
                    "cluster": cluster,
                },
            )
        )

    async def operate_many(self, body: models.BulkOperate, *, idempotency_key: str | None = None) -> models.BulkResult:
        """Operate on many instances."""
        answer: models.BulkResult = await self._send(
            Call("POST", at("/api/v1/instances/operate"), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def delete(self, instance: str, *, wait: int | None = None, if_match: str | None = None) -> models.Accepted:
        """Take this instance away from its cluster. Its cluster has one less; its disks go with it. Quota is
        released when Kubernetes has let go of it; `wait` waits for that. To have it made anew instead, operate
        `replace`.
        """
        answer: models.Accepted = await self._send(
            Call("DELETE", at("/api/v1/instances/{}", instance), query={"wait": wait}, if_match=if_match)
        )
        return answer

    async def get(self, instance: str) -> models.InstanceRead:
        """One instance."""
        answer: models.InstanceRead = await self._send(Call("GET", at("/api/v1/instances/{}", instance)))
        return answer

    async def operate(
        self,
        instance: str,
        body: models.Operate,
        *,
        wait: int | None = None,
        idempotency_key: str | None = None,
        if_match: str | None = None,
    ) -> models.OperateResult:
        """Start, stop, suspend, resume, restart, reboot, migrate or replace an instance. `replace` makes it
        anew under its name, its disks included: what they held is gone. 409 names what is possible when this is
        not. `wait` waits for the operation to finish.
        """
        answer: models.OperateResult = await self._send(
            Call(
                "POST",
                at("/api/v1/instances/{}/operate", instance),
                query={"wait": wait},
                json=body,
                idempotency_key=idempotency_key,
                if_match=if_match,
            )
        )
        return answer

    async def screenshot(self, instance: str) -> bytes:
        """What the screen of a virtual machine shows."""
        answer: bytes = await self._send(Call("GET", at("/api/v1/instances/{}/screenshot", instance)))
        return answer

    async def usage(self, instance: str) -> models.UsageRead:
        """What an instance uses."""
        answer: models.UsageRead = await self._send(Call("GET", at("/api/v1/instances/{}/usage", instance)))
        return answer


class Notifications(AsyncFace):
    def list(
        self, *, limit: int | None = None, sort: Literal["created_at", "-created_at"] | None = None
    ) -> AsyncPages[models.SubscriptionRead]:
        """Where you are told of what."""
        return self._pages(Call("GET", at("/api/v1/notifications/"), query={"limit": limit, "sort": sort}))

    async def create(
        self, body: models.SubscriptionCreate, *, idempotency_key: str | None = None
    ) -> models.SubscriptionCreated:
        """Be told by webhook or mail. Webhooks are signed as Standard Webhooks has it, with a secret that is in
        this answer only. A mail address gets a code first, to be confirmed with.
        """
        answer: models.SubscriptionCreated = await self._send(
            Call("POST", at("/api/v1/notifications/"), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def delete(self, subscription: str) -> None:
        """Be told there no more. What is waiting to be delivered goes with it."""
        await self._send(Call("DELETE", at("/api/v1/notifications/{}", subscription)))

    async def get(self, subscription: str) -> models.SubscriptionRead:
        """One subscription."""
        answer: models.SubscriptionRead = await self._send(Call("GET", at("/api/v1/notifications/{}", subscription)))
        return answer

    async def confirm(
        self, subscription: str, body: models.SubscriptionConfirm, *, idempotency_key: str | None = None
    ) -> models.SubscriptionRead:
        """Confirm a mail address."""
        answer: models.SubscriptionRead = await self._send(
            Call(
                "POST", at("/api/v1/notifications/{}/confirm", subscription), json=body, idempotency_key=idempotency_key
            )
        )
        return answer

    def deliveries(
        self, subscription: str, *, limit: int | None = None, sort: Literal["created_at", "-created_at"] | None = None
    ) -> AsyncPages[models.DeliveryRead]:
        """What was sent to a subscription, and what became of it."""
        return self._pages(
            Call("GET", at("/api/v1/notifications/{}/deliveries", subscription), query={"limit": limit, "sort": sort})
        )

    async def resend(
        self, subscription: str, delivery: str, *, idempotency_key: str | None = None
    ) -> models.DeliveryRead:
        """Send a message again. Under the same id, and tried again for a day."""
        answer: models.DeliveryRead = await self._send(
            Call(
                "POST",
                at("/api/v1/notifications/{}/deliveries/{}/resend", subscription, delivery),
                idempotency_key=idempotency_key,
            )
        )
        return answer

    async def test(self, subscription: str, *, idempotency_key: str | None = None) -> models.DeliveryRead:
        """Be sent a ping now."""
        answer: models.DeliveryRead = await self._send(
            Call("POST", at("/api/v1/notifications/{}/test", subscription), idempotency_key=idempotency_key)
        )
        return answer


class Operations(AsyncFace):
    def list(
        self,
        *,
        limit: int | None = None,
        sort: Literal["created_at", "-created_at"] | None = None,
        status: models.OperationStatus | None = None,
        kind: models.OperationKind | None = None,
        cluster_id: str | None = None,
        instance_id: str | None = None,
        everyones: bool | None = None,
    ) -> AsyncPages[models.OperationRead]:
        """List operations, newest first."""
        return self._pages(
            Call(
                "GET",
                at("/api/v1/operations/"),
                query={
                    "limit": limit,
                    "sort": sort,
                    "status": status,
                    "kind": kind,
                    "cluster_id": cluster_id,
                    "instance_id": instance_id,
                    "everyones": everyones,
                },
            )
        )

    async def get(self, operation: str) -> models.OperationRead:
        """One operation."""
        answer: models.OperationRead = await self._send(Call("GET", at("/api/v1/operations/{}", operation)))
        return answer

    async def wait(self, operation: str, *, timeout: int | None = None) -> models.OperationRead:
        """Wait for an operation. Answers as soon as it is finished, or as it stands after `timeout` seconds."""
        answer: models.OperationRead = await self._send(
            Call("GET", at("/api/v1/operations/{}/wait", operation), query={"timeout": timeout})
        )
        return answer


class Platform(AsyncFace):
    async def report(self) -> models.PlatformRead:
        """Workers, leases, and whether what must be so is so (administrators, operators). Looked at now, and
        nothing is repaired by looking: workers do that every few minutes.
        """
        answer: models.PlatformRead = await self._send(Call("GET", at("/api/v1/platform/")))
        return answer

    async def reseal_secrets(self, *, idempotency_key: str | None = None) -> models.Resealed:
        """Seal secrets with the newest key (administrators). After a new key was put in front of the others in
        CMP_SECRET_KEY of every process. When nothing is unreadable, only the audit trail still needs the
        earlier keys.
        """
        answer: models.Resealed = await self._send(
            Call("POST", at("/api/v1/secrets/reseal"), idempotency_key=idempotency_key)
        )
        return answer

    async def rotate_signing_keys(self, *, withdraw: bool | None = None, idempotency_key: str | None = None) -> None:
        """Sign access tokens with a new key (administrators). Nobody is signed out: earlier keys verify until
        what they signed has ended. With `withdraw`, for a key that was stolen, access tokens that they signed
        end within a minute; refresh tokens get new ones.
        """
        await self._send(
            Call("POST", at("/api/v1/signing-keys/"), query={"withdraw": withdraw}, idempotency_key=idempotency_key)
        )

    async def health(self) -> models.PlatformHealth:
        """Every part and how it is."""
        answer: models.PlatformHealth = await self._send(Call("GET", at("/health")))
        return answer


class Policy(AsyncFace):
    async def get(self) -> models.PolicyRead:
        """What you may choose beside the catalogue."""
        answer: models.PolicyRead = await self._send(Call("GET", at("/api/v1/policy/")))
        return answer

    async def change(self, body: models.PolicyChange, *, if_match: str | None = None) -> models.PolicyRead:
        """Change what users may choose beside the catalogue (administrators). For what is made or changed from
        now on, in every process within five seconds; what runs goes on.
        """
        answer: models.PolicyRead = await self._send(Call("PATCH", at("/api/v1/policy/"), json=body, if_match=if_match))
        return answer


class SshKeys(AsyncFace):
    def list(
        self, *, limit: int | None = None, sort: Literal["created_at", "-created_at", "name", "-name"] | None = None
    ) -> AsyncPages[models.SshKeyRead]:
        """Your saved SSH keys."""
        return self._pages(Call("GET", at("/api/v1/ssh-keys/"), query={"limit": limit, "sort": sort}))

    async def create(self, body: models.SshKeyCreate, *, idempotency_key: str | None = None) -> models.SshKeyRead:
        """Save a public SSH key under a name. `vm.ssh_keys` of a cluster takes that name for the key."""
        answer: models.SshKeyRead = await self._send(
            Call("POST", at("/api/v1/ssh-keys/"), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def delete(self, ssh_key: str) -> None:
        """Delete one of your SSH keys. VMs that were made or changed with it keep it."""
        await self._send(Call("DELETE", at("/api/v1/ssh-keys/{}", ssh_key)))

    async def get(self, ssh_key: str) -> models.SshKeyRead:
        """One of your SSH keys."""
        answer: models.SshKeyRead = await self._send(Call("GET", at("/api/v1/ssh-keys/{}", ssh_key)))
        return answer


class Tokens(AsyncFace):
    def list(
        self,
        *,
        limit: int | None = None,
        sort: Literal["created_at", "-created_at"] | None = None,
        kind: models.CredentialKind | None = None,
    ) -> AsyncPages[models.ApiTokenRead]:
        """Your tokens and sign-ins."""
        return self._pages(Call("GET", at("/api/v1/tokens/"), query={"limit": limit, "sort": sort, "kind": kind}))

    async def create(self, body: models.TokenCreate, *, idempotency_key: str | None = None) -> models.ApiTokenCreated:
        """Make a token for yourself. The token is in this answer only. It has no more scopes and no longer life
        than the one that is used.
        """
        answer: models.ApiTokenCreated = await self._send(
            Call("POST", at("/api/v1/tokens/"), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def revoke(self, token: str) -> None:
        """Revoke one of your tokens, or end a sign-in."""
        await self._send(Call("DELETE", at("/api/v1/tokens/{}", token)))

    def list_of(
        self,
        user: str,
        *,
        limit: int | None = None,
        sort: Literal["created_at", "-created_at"] | None = None,
        kind: models.CredentialKind | None = None,
    ) -> AsyncPages[models.ApiTokenRead]:
        """A user's tokens (administrators, operators)."""
        return self._pages(
            Call("GET", at("/api/v1/users/{}/tokens/", user), query={"limit": limit, "sort": sort, "kind": kind})
        )

    async def create_for(
        self, user: str, body: models.TokenCreate, *, idempotency_key: str | None = None
    ) -> models.ApiTokenCreated:
        """Make a token for a user (administrators). The token is in this answer only. It has no more scopes and
        no longer life than the one that is used.
        """
        answer: models.ApiTokenCreated = await self._send(
            Call("POST", at("/api/v1/users/{}/tokens/", user), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def revoke_of(self, user: str, token: str) -> None:
        """Revoke a user's token (administrators)."""
        await self._send(Call("DELETE", at("/api/v1/users/{}/tokens/{}", user, token)))


class Transfers(AsyncFace):
    async def offer(
        self, cluster: str, body: models.TransferCreate, *, idempotency_key: str | None = None
    ) -> models.TransferRead:
        """Offer a cluster to another user. Only by its owner, or whoever looks after everybody's. It changes
        hands when the receiver accepts: it takes their quota. An offer to another replaces it.
        """
        answer: models.TransferRead = await self._send(
            Call("POST", at("/api/v1/clusters/{}/transfer", cluster), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def move(self, cluster: str, body: models.TransferCreate) -> models.ClusterRead:
        """Give a cluster to another user at once (administrators). Without the receiver's word, within the
        receiver's quota.
        """
        answer: models.ClusterRead = await self._send(
            Call("PUT", at("/api/v1/clusters/{}/transfer", cluster), json=body)
        )
        return answer

    def list(
        self, *, limit: int | None = None, sort: Literal["created_at", "-created_at"] | None = None
    ) -> AsyncPages[models.TransferRead]:
        """What you offer, and what is offered to you."""
        return self._pages(Call("GET", at("/api/v1/transfers/"), query={"limit": limit, "sort": sort}))

    async def delete(self, transfer: str) -> None:
        """Withdraw an offer, or decline it."""
        await self._send(Call("DELETE", at("/api/v1/transfers/{}", transfer)))

    async def get(self, transfer: str) -> models.TransferRead:
        """One offer."""
        answer: models.TransferRead = await self._send(Call("GET", at("/api/v1/transfers/{}", transfer)))
        return answer

    async def accept(self, transfer: str, *, idempotency_key: str | None = None) -> models.ClusterRead:
        """Accept a cluster that is offered to you. It is yours then, with what it charges; those it was shared
        with lose it.
        """
        answer: models.ClusterRead = await self._send(
            Call("POST", at("/api/v1/transfers/{}/accept", transfer), idempotency_key=idempotency_key)
        )
        return answer


class Users(AsyncFace):
    def list(
        self,
        *,
        limit: int | None = None,
        sort: Literal["created_at", "-created_at", "username", "-username"] | None = None,
        name: str | None = None,
        role: models.Role | None = None,
        near_limit: bool | None = None,
    ) -> AsyncPages[models.UserRead]:
        """List all users (administrators, operators)."""
        return self._pages(
            Call(
                "GET",
                at("/api/v1/users/"),
                query={"limit": limit, "sort": sort, "name": name, "role": role, "near_limit": near_limit},
            )
        )

    async def create(self, body: models.UserCreate, *, idempotency_key: str | None = None) -> models.UserCreated:
        """Create a user. For administrators. The token is in this answer only."""
        answer: models.UserCreated = await self._send(
            Call("POST", at("/api/v1/users/"), json=body, idempotency_key=idempotency_key)
        )
        return answer

    async def me(self) -> models.MeRead:
        """Who you are."""
        answer: models.MeRead = await self._send(Call("GET", at("/api/v1/users/me")))
        return answer

    async def set_my_password(self, body: models.PasswordChange) -> None:
        """Set your password. Where you have one, it is needed as `current_password`. All sign-ins end, but the
        one that is used; API tokens stay.
        """
        await self._send(Call("PUT", at("/api/v1/users/me/password"), json=body))

    async def my_quota(self) -> models.QuotaRead:
        """What you may use, use, and have left."""
        answer: models.QuotaRead = await self._send(Call("GET", at("/api/v1/users/me/quota")))
        return answer

    async def replace_my_token(self, *, idempotency_key: str | None = None) -> models.TokenRead:
        """Replace your token. All your earlier tokens stop working at once."""
        answer: models.TokenRead = await self._send(
            Call("POST", at("/api/v1/users/me/token"), idempotency_key=idempotency_key)
        )
        return answer

    async def delete(
        self,
        user: str,
        *,
        wait: int | None = None,
        clusters: Literal["delete", "transfer"] | None = None,
        to: str | None = None,
        if_match: str | None = None,
    ) -> models.UserLeaving | None:
        """Delete a user (administrators). Who still has clusters stays, unless `clusters` says what becomes of
        these. `transfer`: they are `to`'s at once, within that one's quota, all of them or none. `delete`: the
        user is disabled and each cluster is deleted; `wait` waits for that. 202 names what is still being
        deleted: then the same again deletes the user.
        """
        answer: models.UserLeaving | None = await self._send(
            Call(
                "DELETE",
                at("/api/v1/users/{}", user),
                query={"wait": wait, "clusters": clusters, "to": to},
                if_match=if_match,
            )
        )
        return answer

    async def get(self, user: str) -> models.UserRead:
        """One user (administrators, operators)."""
        answer: models.UserRead = await self._send(Call("GET", at("/api/v1/users/{}", user)))
        return answer

    async def change(self, user: str, body: models.UserChange, *, if_match: str | None = None) -> models.UserRead:
        """Change a user's limits or role, disable or enable (administrators). A limit below what is used blocks
        what is new and stops nothing that runs. Nor does disabling, unless `instances` says `stop`.
        """
        answer: models.UserRead = await self._send(
            Call("PATCH", at("/api/v1/users/{}", user), json=body, if_match=if_match)
        )
        return answer

    async def remove_password(self, user: str) -> None:
        """Take a user's password away (administrators). Single sign-on and API tokens stay; all sign-ins end."""
        await self._send(Call("DELETE", at("/api/v1/users/{}/password", user)))

    async def set_password(self, user: str, body: models.PasswordChange) -> None:
        """Set a user's password (administrators). All sign-ins end, but the one that is used; API tokens stay."""
        await self._send(Call("PUT", at("/api/v1/users/{}/password", user), json=body))

    async def quota(self, user: str) -> models.QuotaRead:
        """A user's quota (administrators, operators)."""
        answer: models.QuotaRead = await self._send(Call("GET", at("/api/v1/users/{}/quota", user)))
        return answer

    async def replace_token(self, user: str, *, idempotency_key: str | None = None) -> models.TokenRead:
        """Replace a user's token (administrators). All earlier tokens of the user stop working at once."""
        answer: models.TokenRead = await self._send(
            Call("POST", at("/api/v1/users/{}/token", user), idempotency_key=idempotency_key)
        )
        return answer
