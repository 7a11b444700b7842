"""How do the library's values look to the reference model?"""

from __future__ import annotations

from datetime import datetime, timezone

from kopia_maint import Bounded, CronJobState, FirstWins, Policy, SourceRef, SourceRequest

from . import decisions
from .decisions import Request, Source, State


def time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def source(ref: SourceRef) -> Source:
    return ref.namespace, ref.name


def state(value: CronJobState) -> State:
    return {
        "repository": value.repository_hash,
        "secret": value.secret_name,
        "schedule": value.schedule.text,
        "owner": value.owner,
        "claims": {
            source(ref): (claim.schedule and claim.schedule.text, time(claim.since), claim.rejected)
            for ref, claim in value.claims.items()
        },
        "policy": value.policy,
    }


def request(value: SourceRequest) -> Request:
    return {
        "source": source(value.source),
        "repository": value.repository.hash,
        "secret": value.repository.secret_name,
        "schedule": value.schedule and value.schedule.text,
        "enabled": value.enabled,
        "created": value.created_at,
    }


def policy(value: Policy) -> decisions.Policy:
    """Return the model's own policy of that kind."""
    if isinstance(value, Bounded):
        return decisions.bounded(policy(value.policy), value.shortest, value.longest)
    return value.name, decisions.first_wins if isinstance(value, FirstWins) else decisions.consensus
