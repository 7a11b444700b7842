"""
What does this library answer to a line of the conformance wire format?

One JSON object comes in, and one goes out, whatever came in. The objects inside
are the Kubernetes manifests themselves, so that every implementation can use its
own types. Nothing is remembered between lines.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from math import isinf
from typing import Any

from .._errors import InvalidValue, KopiaMaintError, shown
from .._manifest import (
    MAX_DEPTH,
    is_deep,
    manifest_from_state,
    merge_patch,
    patch_from_state,
    request_from_manifest,
    state_from_manifest,
)
from .._model import CronJobState, SourceRef, SourceRequest, parse_time
from .._policy import POLICIES, Policy
from .._resolver import reconcile, resolve

MAX_LENGTH = 64 * 1024 * 1024
"""Bytes of one line: a list of more sources than one CronJob can hold claims of is shorter."""


def answer(line: str | bytes) -> dict[str, Any]:
    """
    Answer one line; what is refused is answered with ``{"error": {"code", "message", "path"}}``.

    Args:
        line: A JSON object with ``op`` (``resolve`` or ``reconcile``), ``current``,
            ``request`` or ``requests``, ``now`` and ``policy``.
    """
    try:
        return _answer(read(line))
    except KopiaMaintError as error:
        return {"error": {"code": error.code, "message": error.message, "path": error.path}}


def read(line: str | bytes) -> dict[str, Any]:
    """
    Read a line, a question or an answer.

    Raises:
        InvalidValue: It is not one JSON object, or one that is too long or too deep.
    """
    if len(line) > MAX_LENGTH:
        raise InvalidValue(f"the line is longer than {MAX_LENGTH} bytes")
    try:
        text = line if isinstance(line, str) else line.decode()
        value = json.loads(text, parse_float=_number, parse_constant=_number)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"the line is not JSON: {shown(str(error))}") from None
    if not isinstance(value, dict):
        raise InvalidValue(f"the line must be a JSON object, not {shown(value)}")
    if is_deep(value):
        raise InvalidValue(f"the line nests more than {MAX_DEPTH} deep")
    return value


def _number(text: str) -> float:
    """Refuse what JSON cannot write down again: NaN and the infinities, however they are spelt."""
    value = float(text) if text != "NaN" else float("inf")
    if isinf(value):
        raise ValueError(f"{text} is not a number that JSON knows")
    return value


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    op = _text(asked, "op")
    if op not in ("resolve", "reconcile"):
        raise InvalidValue(f"{shown(op)} is not known, only resolve and reconcile are", path="op")
    time = _text(asked, "now")
    with _at("now"):
        now = parse_time(time)
    policy = POLICIES.get(_text(asked, "policy"))
    if policy is None:
        raise InvalidValue(f"{shown(asked['policy'])} is not known, only {', '.join(POLICIES)} are", path="policy")
    return (_resolve if op == "resolve" else _reconcile)(asked, now, policy)


def _resolve(asked: dict[str, Any], now: datetime, policy: Policy) -> dict[str, Any]:
    current = asked.get("current")
    with _at("request"):
        request = request_from_manifest(asked.get("request"))  # type: ignore[arg-type]
    if request is None:
        return {"verdict": None, "cronJob": current}
    resolution = resolve(_state(current), request, now=now, policy=policy)
    return {"verdict": resolution.verdict.value, "cronJob": _written(resolution.desired, current)}


def _reconcile(asked: dict[str, Any], now: datetime, policy: Policy) -> dict[str, Any]:
    current, manifests = asked.get("current"), asked.get("requests")
    if not isinstance(manifests, list):
        raise InvalidValue(f"must be a list, not {shown(manifests)}", path="requests")
    requests: list[SourceRequest | None] = []
    unreadable: list[SourceRef] = []
    for index, manifest in enumerate(manifests):
        try:
            with _at(f"requests[{index}]"):
                requests.append(request_from_manifest(manifest))
        except KopiaMaintError as error:
            if error.source is None:  # nobody can say whose claim has to stand
                raise
            unreadable.append(error.source)
    ours = [request for request in requests if request is not None]
    answered = reconcile(_state(current), ours, now=now, policy=policy, unreadable=unreadable)
    verdicts = {str(source): verdict.value for source, verdict in answered.verdicts.items()}
    verdicts.update((str(source), "unreadable") for source in unreadable)
    return {"verdicts": verdicts, "cronJob": _written(answered.desired, current)}


def _state(current: Any) -> CronJobState | None:
    if current is None:
        return None
    with _at("current"):
        return state_from_manifest(current)


def _written(desired: CronJobState | None, current: Any) -> dict[str, Any] | None:
    """Return the CronJob as it should be: the current one patched, or a new one."""
    if desired is None:
        return None
    with _at("cronJob"):
        if current is None:
            return manifest_from_state(desired, {})
        patch = patch_from_state(desired, current)
    written: dict[str, Any] = current if patch is None else merge_patch(current, patch)
    return written


def _text(asked: dict[str, Any], key: str) -> str:
    value = asked.get(key)
    if not isinstance(value, str):
        raise InvalidValue(f"must be a string, not {shown(value)}", path=key)
    return value


@contextmanager
def _at(path: str) -> Generator[None]:
    """Put *path* in front of the path of an error: it says where in the line the fault is."""
    try:
        yield
    except KopiaMaintError as error:
        error.within(path)
        raise
