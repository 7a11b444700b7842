"""
Which maintenance schedule wins, when several tenants share one Kopia repository?

Kubernetes objects come in and become values; ``resolve`` and ``reconcile`` decide
over values, asking a policy; values go out as writes. ``plan_manifests`` does all
of that for a whole cluster. Nothing here does I/O, reads a clock, or keeps state
between calls.
"""

from __future__ import annotations

from ._decision import Action, Decision, Reconciliation, Resolution, Standing, Verdict
from ._errors import InvalidManifest, InvalidSchedule, InvalidValue, KopiaMaintError, RepositoryMismatch, StateTooLarge
from ._manifest import (
    CLAIMS_ANNOTATION,
    CONFLICT_ANNOTATION,
    HASH_LABEL,
    MAINTENANCE_LABEL,
    NAMESPACE_LABEL_PREFIX,
    OWNER_KEY,
    SECRET_ANNOTATION,
    manifest_from_state,
    patch_from_state,
    request_from_manifest,
    state_from_manifest,
)
from ._model import Claim, Conflict, CronJobState, CustomCA, Repository, SourceRef, SourceRequest
from ._plan import Plan, Template, Write, plan_manifests, write_for
from ._policy import Bounded, Consensus, FirstWins, Policy
from ._resolver import hand_over, reconcile, reconcile_all, resolve, withdraw
from ._schedule import DEFAULT_SCHEDULE, Schedule

__all__ = [
    "CLAIMS_ANNOTATION",
    "CONFLICT_ANNOTATION",
    "DEFAULT_SCHEDULE",
    "HASH_LABEL",
    "MAINTENANCE_LABEL",
    "NAMESPACE_LABEL_PREFIX",
    "OWNER_KEY",
    "SECRET_ANNOTATION",
    "Action",
    "Bounded",
    "Claim",
    "Conflict",
    "Consensus",
    "CronJobState",
    "CustomCA",
    "Decision",
    "FirstWins",
    "InvalidManifest",
    "InvalidSchedule",
    "InvalidValue",
    "KopiaMaintError",
    "Plan",
    "Policy",
    "Reconciliation",
    "Repository",
    "RepositoryMismatch",
    "Resolution",
    "Schedule",
    "SourceRef",
    "SourceRequest",
    "Standing",
    "StateTooLarge",
    "Template",
    "Verdict",
    "Write",
    "hand_over",
    "manifest_from_state",
    "patch_from_state",
    "plan_manifests",
    "reconcile",
    "reconcile_all",
    "request_from_manifest",
    "resolve",
    "state_from_manifest",
    "withdraw",
    "write_for",
]
__version__ = "0.1.0"

for _public in map(globals().get, __all__):  # errors, pickles and documentation name things as users import them
    if callable(_public) and _public.__module__.startswith(__name__):
        _public.__module__ = __name__
