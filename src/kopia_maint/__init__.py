"""
Whose maintenance schedule stands, when several tenants share one Kopia repository?

Manifests come in (``request_from_manifest``, ``state_from_manifest``) and become
values; ``resolve`` and ``reconcile`` decide over values, asking a policy; values
go out again (``manifest_from_state``, ``patch_from_state``). Nothing here does
I/O, reads a clock, or keeps state between calls.
"""

from __future__ import annotations

from ._errors import InvalidManifest, InvalidSchedule, InvalidValue, KopiaMaintError, RepositoryMismatch, StateTooLarge
from ._manifest import manifest_from_state, patch_from_state, request_from_manifest, state_from_manifest
from ._model import (
    Action,
    Claim,
    Conflict,
    CronJobState,
    CustomCA,
    Reconciliation,
    Repository,
    Resolution,
    SourceRef,
    SourceRequest,
    Verdict,
)
from ._policy import Consensus, FirstWins, Policy
from ._resolver import hand_over, plan, reconcile, resolve
from ._schedule import DEFAULT_SCHEDULE, Schedule

__all__ = [
    "DEFAULT_SCHEDULE",
    "Action",
    "Claim",
    "Conflict",
    "Consensus",
    "CronJobState",
    "CustomCA",
    "FirstWins",
    "InvalidManifest",
    "InvalidSchedule",
    "InvalidValue",
    "KopiaMaintError",
    "Policy",
    "Reconciliation",
    "Repository",
    "RepositoryMismatch",
    "Resolution",
    "Schedule",
    "SourceRef",
    "SourceRequest",
    "StateTooLarge",
    "Verdict",
    "hand_over",
    "manifest_from_state",
    "patch_from_state",
    "plan",
    "reconcile",
    "request_from_manifest",
    "resolve",
    "state_from_manifest",
]
__version__ = "0.1.0"
