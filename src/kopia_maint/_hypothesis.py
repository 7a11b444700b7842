"""
How does hypothesis learn which values to try? Through its entry point, which calls ``register``.

So ``st.from_type(SourceRequest)`` works as soon as the package is installed. The
strategies themselves are imported when one of them is first asked for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def register() -> None:
    """Tell hypothesis of every public value."""
    from hypothesis.strategies import register_type_strategy

    from . import _decision, _model, _plan, _policy
    from ._schedule import Schedule

    for kind, name in (
        (Schedule, "schedules"),
        (_model.CustomCA, "custom_cas"),
        (_model.Repository, "repositories"),
        (_model.SourceRef, "sources"),
        (_model.SourceRequest, "requests"),
        (_model.Claim, "claims"),
        (_model.Conflict, "conflicts"),
        (_model.CronJobState, "states"),
        (_decision.Standing, "standings"),
        (_decision.Decision, "decisions"),
        (_decision.Resolution, "resolutions"),
        (_decision.Reconciliation, "reconciliations"),
        (_policy.Policy, "policies"),
        (_policy.Bounded, "bounded"),
        (_plan.Plan, "plans"),
        (_plan.Write, "writes"),
    ):
        register_type_strategy(kind, partial(_strategy, name))


def _strategy(name: str, _: type) -> SearchStrategy[Any]:
    from .testing import strategies

    strategy: SearchStrategy[Any] = getattr(strategies, name)()
    return strategy
