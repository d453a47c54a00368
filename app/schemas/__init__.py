"""What comes in and what goes out, on the wire. Stops at the routers.

Input is strict, and no answer repeats what was sent. Output names are the document's.
"""

from app.schemas.audit import AuditRead, AuditVerified
from app.schemas.catalogue import (
    FlavourChange,
    FlavourCreate,
    FlavourRead,
    ImageChange,
    ImageCreate,
    ImageRead,
    PolicyChange,
    PolicyRead,
)
from app.schemas.clusters import (
    SETTINGS,
    BulkDelete,
    ClusterChange,
    ClusterCreate,
    ClusterRead,
    ClusterScale,
    ClusterSummary,
    merged,
)
from app.schemas.events import EventRead
from app.schemas.fields import ClusterName, Image, In, LabelKey, LabelValue, Out, Username
from app.schemas.instances import BulkOperate, Capabilities, InstanceRead, Operate, OperateResult, UsageRead
from app.schemas.notifications import (
    DeliveryRead,
    SubscriptionConfirm,
    SubscriptionCreate,
    SubscriptionCreated,
    SubscriptionRead,
)
from app.schemas.operations import Accepted, BulkItem, BulkResult, OperationRead
from app.schemas.platform import Health, Listing, Part, PlatformRead, Problem
from app.schemas.sharing import GrantPut, GrantRead, TransferCreate, TransferRead
from app.schemas.ssh_keys import SshKeyCreate, SshKeyRead
from app.schemas.tokens import (
    ApiTokenCreated,
    ApiTokenRead,
    IdentityCreate,
    IdentityRead,
    PasswordChange,
    Resealed,
    TokenCreate,
)
from app.schemas.users import (
    Dimensions,
    MeRead,
    QuotaRead,
    TokenRead,
    UserChange,
    UserCreate,
    UserCreated,
    UserLeaving,
    UserRead,
)
from app.schemas.workloads import ContainerSettings, ContainerSettingsRead, Settings, VmSettings, VmSettingsRead

__all__ = [
    "SETTINGS",
    "Accepted",
    "ApiTokenCreated",
    "ApiTokenRead",
    "AuditRead",
    "AuditVerified",
    "BulkDelete",
    "BulkItem",
    "BulkOperate",
    "BulkResult",
    "Capabilities",
    "ClusterChange",
    "ClusterCreate",
    "ClusterName",
    "ClusterRead",
    "ClusterScale",
    "ClusterSummary",
    "ContainerSettings",
    "ContainerSettingsRead",
    "DeliveryRead",
    "Dimensions",
    "EventRead",
    "FlavourChange",
    "FlavourCreate",
    "FlavourRead",
    "GrantPut",
    "GrantRead",
    "Health",
    "IdentityCreate",
    "IdentityRead",
    "Image",
    "ImageChange",
    "ImageCreate",
    "ImageRead",
    "In",
    "InstanceRead",
    "LabelKey",
    "LabelValue",
    "Listing",
    "MeRead",
    "Operate",
    "OperateResult",
    "OperationRead",
    "Out",
    "Part",
    "PasswordChange",
    "PlatformRead",
    "PolicyChange",
    "PolicyRead",
    "Problem",
    "QuotaRead",
    "Resealed",
    "Settings",
    "SshKeyCreate",
    "SshKeyRead",
    "SubscriptionConfirm",
    "SubscriptionCreate",
    "SubscriptionCreated",
    "SubscriptionRead",
    "TokenCreate",
    "TokenRead",
    "TransferCreate",
    "TransferRead",
    "UsageRead",
    "UserChange",
    "UserCreate",
    "UserCreated",
    "UserLeaving",
    "UserRead",
    "Username",
    "VmSettings",
    "VmSettingsRead",
    "merged",
]
