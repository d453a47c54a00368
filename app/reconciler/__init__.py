"""Makes the wish true: load a cluster, observe Kubernetes, decide, act, settle; the same function whatever woke it.

The first pass after a request, a watch event, the sweep and a restart are all one and the same.
"""

from app.reconciler.reconciler import Reconciler

__all__ = ["Reconciler"]
