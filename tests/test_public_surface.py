"""The names and shapes that users rely on: a change here breaks somebody's operator."""

from __future__ import annotations

import inspect
import pickle

import attrs
import pytest

import kopia_maint
from kopia_maint import Claim, CustomCA, FirstWins, reconcile, resolve

from .helpers import LATER, NOW, REPOSITORY, ask

SIGNATURES = {
    "Claim": "schedule, since",
    "Conflict": "*, namespace, schedule, since, name=, policy=",
    "CronJobState": "repository_hash, schedule, owner, claims, latest_conflict=, repository_name=",
    "CustomCA": "secret_name=, config_map_name=, key=",
    "Repository": "secret_name, custom_ca=",
    "Resolution": "*, request, current, desired, verdict, conflict",
    "SourceRef": "namespace, name",
    "SourceRequest": "source, repository, schedule=, enabled=, created_at=",
    "hand_over": "current, namespace, *, policy=",
    "manifest_from_state": "state, template, *, operator_namespace=",
    "patch_from_state": "state, manifest",
    "plan": "states, requests, *, now, policy=, unreadable=",
    "reconcile": "current, requests, *, now, policy=, unreadable=",
    "request_from_manifest": "replication_source",
    "resolve": "current, request, *, now, policy=",
    "state_from_manifest": "cron_job",
}


def shape(name: str) -> str:
    """Return a signature without its types: ``current, request, *, now, policy=``."""
    parts = []
    for parameter in inspect.signature(getattr(kopia_maint, name)).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            parts.append("/")
        parts.append(parameter.name + ("" if parameter.default is parameter.empty else "="))
    return ", ".join(parts)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    """Names of arguments, which of them are by keyword only, and which may be left out."""
    assert shape(name) == SIGNATURES[name]


def test_every_value_is_frozen_slotted_hashable_and_picklable() -> None:
    """As keys, across processes, and in sets: a value stays what it is."""
    request = ask("team-b/source-b", "0 4 * * *", created_at=NOW)
    answer = reconcile(None, [ask("team-a/source-a", "0 2 * * *"), request], now=NOW)
    assert answer.desired is not None
    values = [
        *(request, request.source, request.repository, request.schedule, CustomCA(), Claim(None, NOW), FirstWins()),
        *(answer, answer.desired, answer.conflicts[0], resolve(answer.desired, request, now=LATER)),
    ]
    for value in values:
        assert pickle.loads(pickle.dumps(value)) == value
        assert isinstance(hash(value), int)
        assert not hasattr(value, "__dict__")
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            value.anything = 1  # type: ignore[union-attr]
    assert REPOSITORY.hash == request.repository.hash
