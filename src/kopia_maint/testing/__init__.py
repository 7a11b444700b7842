"""
Is a policy, or an implementation of the decision, right? A kit to find out.

``check_policy`` and ``check_resolver`` look for the shortest history that breaks
one of the laws, ``explore`` walks every state that can be reached in a small
scope, and ``strategies`` has what property tests of your own need.
"""

try:
    import hypothesis as _  # noqa: F401
except ImportError:
    raise ImportError("kopia_maint.testing needs hypothesis: pip install 'kopia-maint[testing]'") from None

from . import strategies
from ._check import check_policy, check_resolver
from ._explore import Exploration, explore
from ._history import Edited, HandedOver, Reconciled, Step, Submitted, Transition, Withdrawn
from ._laws import LAWS, Law, Violation

__all__ = [
    "LAWS",
    "Edited",
    "Exploration",
    "HandedOver",
    "Law",
    "Reconciled",
    "Step",
    "Submitted",
    "Transition",
    "Violation",
    "Withdrawn",
    "check_policy",
    "check_resolver",
    "explore",
    "strategies",
]
