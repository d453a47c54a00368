"""Every knob of the simulator. Delays are simulated seconds (see clock.py); sizes are counts."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NodeShape:
    """What one simulated node offers, as Kubernetes quantities."""

    cpu: str = "1024"
    memory: str = "4Ti"
    pods: int = 20_000


@dataclass(slots=True)
class Settings:
    nodes: int = 3
    node_shape: NodeShape = field(default_factory=NodeShape)
    seed: int = 1
    """Seeds the jitter of every delay; a seed and a request order give one schedule."""
    speed: float = 1.0

    schedule_delay: float = 0.05
    start_delay: float = 0.25
    stop_delay: float = 0.2
    """How long a process takes to obey SIGTERM."""
    pull_failure_delay: float = 0.1
    grace_scale: float = 0.01
    """A frozen container cannot obey SIGTERM and takes its whole grace, times this."""
    toleration_scale: float = 0.01
    """tolerationSeconds after which the Pods of a lost node are deleted, times this."""
    crash_after: float = 0.3
    crash_backoff: float = 1.0
    """First CrashLoopBackOff wait; doubles up to `crash_backoff_limit`."""
    crash_backoff_limit: float = 30.0
    jitter: float = 0.2

    namespace_delay: float = 0.05
    service_account_delay: float = 0.02
    """Pods are refused in a new namespace until its default ServiceAccount exists, as in a real cluster."""
    garbage_delay: float = 0.05

    claim_delay: float = 0.05
    vm_delay: float = 0.05
    guest_boot_delay: float = 0.3
    guest_agent_delay: float = 0.2
    guest_stop_delay: float = 0.3
    migration_delay: float = 0.4
    vmi_removal_delay: float = 0.1
    """A VM shows Stopped this long before its old VMI is gone."""

    node_agent: bool = True
    node_agent_delay: float = 0.2
    lease_interval: float = 3.0
    events_kept: int = 5_000
    """Events beyond this are forgotten oldest first (a real cluster forgets them after an hour)."""

    history: int = 10_000
    """Events kept per resource for watches; older resource versions answer 410."""
    bookmark_interval: float = 5.0
    """Real seconds between bookmarks on a quiet watch (a real API server: about 60)."""
    journal_kept: int = 200_000
    save_interval: float = 10.0
