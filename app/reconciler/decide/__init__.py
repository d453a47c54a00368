"""The decision, pure: from what is wished and what is seen to what is done next and what is said about it.

`plan` answers the steps; when they were tried, `judge` answers the new statuses, phase and outcomes. Neither looks at a
clock, a database or Kubernetes.
"""

from app.reconciler.decide.judge import Verdict, judge, unreachable
from app.reconciler.decide.plan import plan, step_for
from app.reconciler.decide.rulings import Ruling
from app.reconciler.decide.values import (
    NamespaceStep,
    OperationRuling,
    Outcome,
    Picture,
    Plan,
    Seen,
    SeenNamespace,
    Step,
    Trouble,
    Verb,
)

__all__ = [
    "NamespaceStep",
    "OperationRuling",
    "Outcome",
    "Picture",
    "Plan",
    "Ruling",
    "Seen",
    "SeenNamespace",
    "Step",
    "Trouble",
    "Verb",
    "Verdict",
    "judge",
    "plan",
    "step_for",
    "unreachable",
]
