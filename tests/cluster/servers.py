"""
Which API servers are there to test against? Two that speak HTTP: a stand-in in this process, and the real one.

The stand-in is kmock with what it lacks and the operator relies on: optimistic locking, preconditions,
RFC 7386, the status subresource, content types, and no event where nothing changed. It leans on kmock's
internals, so kmock is pinned.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import os
import secrets
import socket
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import json_merge_patch  # type: ignore[import-untyped]
import jsonpatch
import kmock
import yaml
from kubernetes import client
from kubernetes.config import new_client_from_config
from kubernetes.utils import create_from_yaml
from urllib3.exceptions import HTTPError

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "kopf-operator"
ASSETS = Path(os.environ.get("KUBEBUILDER_ASSETS", "/usr/local/kubebuilder/bin"))
OPERATOR = "system:serviceaccount:volsync-system:kopia-maint"
NAMESPACES = ("volsync-system", "team-a", "team-b", "my-app", "team-z")
RESOURCES = {  # the last three are not used, but kopf waits for them
    "volsync.backube/v1alpha1/replicationsources": "ReplicationSource",
    "batch/v1/cronjobs": "CronJob",
    "events.k8s.io/v1/events": "Event",
    "v1/events": "Event",
    "v1/namespaces": "Namespace",
    "apiextensions.k8s.io/v1/customresourcedefinitions": "CustomResourceDefinition",
}
CONTENT_TYPES: dict[type, str] = {dict: "application/merge-patch+json", list: "application/json-patch+json"}


class StandIn(kmock.KubernetesEmulator):
    """
    A Kubernetes API server in memory.

    Attributes:
        faults: What happens to the next writes of CronJobs: before a 409 somebody else writes,
            with a 500 the write is done and its answer lost.
        refusals: The statuses of the writes that were refused.
        writes: The writes that were let through, as method and path.
    """

    def __attrs_post_init__(self) -> None:
        self.faults: list[int] = []
        self.refusals: list[int] = []
        self.writes: list[str] = []
        self._writing = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._latest = "0"
        super().__attrs_post_init__()
        for resource, kind in RESOURCES.items():
            self.resources[resource] = kmock.ResourceInfo(
                kind=kind,
                singular=kind.lower(),
                namespaced=kind not in ("Namespace", "CustomResourceDefinition"),
                verbs={"get", "list", "watch", "create", "patch", "delete"},
            )

        _ = self.fallback["get /version/"] << self._serve_server_version

    def _next(self) -> str:
        self._latest = str(next(self._numbers))
        return self._latest

    async def _handle(self, request: Any) -> Any:
        write = request.action in (kmock.action.CREATE, kmock.action.UPDATE, kmock.action.DELETE)
        if request.resource is None or not write:
            return await super()._handle(request)
        async with self._writing:  # the check and the write are one step
            fault = self.faults.pop(0) if self.faults and request.resource.plural == "cronjobs" else None
            if fault == 409:
                await self._forestall(request)
            try:
                await self._prepare(request)
            except kmock.KubernetesError as error:
                self.refusals.append(error.status)
                raise
            self.writes.append(f"{request.method.value} {request.url.path}")
            answer = await super()._handle(request)
            if request.action == kmock.action.CREATE:
                answer.set_status(201)  # clients read the body by the status
            if fault is not None:
                raise kmock.KubernetesError(fault, "InternalError", "told to lose this answer")
            return answer

    async def _forestall(self, request: Any) -> None:
        """Let somebody else be a little faster, so that this write is stale if it says what it was made for."""
        if request.action == kmock.action.CREATE:
            self.refusals.append(409)
            raise kmock.KubernetesError(409, "AlreadyExists", "told to refuse this write")
        stored = self.objects[(request.resource, request.namespace, request.name)]
        stored.patch({"metadata": {"resourceVersion": self._next()}})
        await self._buses[request.resource].put({"type": "MODIFIED", "object": stored.raw})

    async def _prepare(self, request: Any) -> None:
        """Refuse what a real server refuses, and make of the rest what kmock stores as it is."""
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        if request.action == kmock.action.CREATE:
            metadata = request.data.setdefault("metadata", {})
            if request.namespace:
                metadata["namespace"] = request.namespace
            metadata.setdefault("name", metadata.get("generateName", "") + uuid.uuid4().hex[:5])
            metadata.update(uid=str(uuid.uuid4()), resourceVersion=self._next(), creationTimestamp=now)
            return
        key = (request.resource, request.namespace, request.name)
        if key not in self.objects or self.objects[key].deleted:
            return  # kmock answers 404
        old = self.objects[key].raw
        if request.action == kmock.action.DELETE:
            self._lock_optimistically(old, (request.data or {}).get("preconditions") or {})
            return
        if request.headers["Content-Type"].split(";")[0] != CONTENT_TYPES[type(request.data)]:
            raise kmock.KubernetesError(415, "UnsupportedMediaType", "the body is not of the content type")
        if isinstance(request.data, list):
            new = jsonpatch.apply_patch(old, request.data)
        else:
            self._lock_optimistically(old, request.data.get("metadata") or {})
            new = json_merge_patch.merge(copy.deepcopy(old), copy.deepcopy(request.data))
        theirs, ours = (old, new) if request.subresource == "status" else (new, old)
        new = {**theirs, "status": ours.get("status", {}), "metadata": {**theirs["metadata"]}}
        if new == {"status": {}, **old}:
            object.__setattr__(request, "action", kmock.action.FETCH)  # neither a write nor an event
        else:
            new["metadata"]["resourceVersion"] = self._next()
            object.__setattr__(request, "data", [{"op": "replace", "path": "", "value": new}])

    async def _render_error(self, exc: Exception) -> Any:
        response = await super()._render_error(exc)
        response.headers["Content-Type"] = "application/json"  # without a character set, as the real one
        return response

    @staticmethod
    def _lock_optimistically(old: Any, wanted: Any) -> None:
        for field in ("uid", "resourceVersion"):
            if wanted.get(field, old["metadata"][field]) != old["metadata"][field]:
                raise kmock.KubernetesError(409, "Conflict", "the object has been modified")

    async def _serve_list(self, request: Any) -> Any:
        found: Any = await super()._serve_list(request)
        return {**found, "metadata": {"resourceVersion": self._latest}}

    async def _serve_watch(self, request: Any) -> AsyncIterator[Any]:
        bus = self._buses[request.resource]
        mark = await bus.mark()  # before the snapshot, so that nothing is lost in between
        since = int(request.params.get("resourceVersion") or 0)

        def watched(resource: Any, namespace: str | None) -> bool:
            return resource == request.resource and request.namespace in (None, namespace)

        snapshot = [o.raw for (r, ns, _), o in self.objects.items() if watched(r, ns) and not o.deleted]
        yield b""
        for manifest in snapshot:
            if int(manifest["metadata"]["resourceVersion"]) > since:
                yield {"type": "ADDED", "object": manifest}
        async for event in bus.stream(since=mark):
            if watched(request.resource, event["object"]["metadata"].get("namespace")):
                yield event


@contextmanager
def stand_in(folder: Path) -> Generator[tuple[Path, StandIn]]:
    """Serve a stand-in from a thread. Yield a kubeconfig for it, and the stand-in itself."""
    started: Future[tuple[str, StandIn, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        async with StandIn() as cluster, kmock.Server(cluster) as server:
            started.set_result((str(server.url).rstrip("/"), cluster, asyncio.get_running_loop(), stop))
            await stop.wait()

    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(asyncio.run, serve())
        served.add_done_callback(lambda done: None if started.done() else started.set_exception(done.exception()))
        url, cluster, loop, stop = started.result(30)
        try:
            yield kubeconfig(folder / "kubeconfig", {"server": url}, {}), cluster
        finally:
            loop.call_soon_threadsafe(stop.set)
            served.result(30)


@contextmanager
def api_server(folder: Path) -> Generator[tuple[Path, Path]]:
    """Run the real one, with the example's definition and rights. Yield kubeconfigs: ours and the operator's."""
    admin, operator = secrets.token_hex(), secrets.token_hex()
    key, tokens = folder / "service-account.key", folder / "tokens.csv"
    tokens.write_text(f'{admin},admin,1,"system:masters"\n{operator},{OPERATOR},2,"system:authenticated"\n')
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    etcd, peers, port = free_port(), free_port(), free_port()
    store = [
        ASSETS / "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{etcd}",
        f"--advertise-client-urls=http://127.0.0.1:{etcd}",
        f"--listen-peer-urls=http://127.0.0.1:{peers}",
    ]
    server = [
        ASSETS / "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--cert-dir={folder / 'certificates'}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://127.0.0.1",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--disable-admission-plugins=ServiceAccount",
        "--authorization-mode=RBAC",
        f"--token-auth-file={tokens}",
    ]
    place = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    ours = kubeconfig(folder / "kubeconfig", place, {"token": admin})
    theirs = kubeconfig(folder / "operator.kubeconfig", place, {"token": operator})
    with (
        running(store, folder / "etcd.log"),
        running(server, folder / "kube-apiserver.log"),
        connected(ours) as connection,
    ):
        until(lambda: ready(connection), 60)
        for namespace in NAMESPACES:
            client.CoreV1Api(connection).create_namespace(
                client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace))
            )
        for name in ("crd.yaml", "rbac.yaml"):
            create_from_yaml(connection, str(EXAMPLE / name))  # type: ignore[no-untyped-call]
        api = client.CustomObjectsApi(connection)
        until(lambda: listed(api), 60)
        yield ours, theirs


def ready(connection: client.ApiClient) -> bool:
    try:
        return bool(client.CoreV1Api(connection).read_namespace("default"))
    except (client.ApiException, HTTPError):
        return False


def listed(api: client.CustomObjectsApi) -> bool:
    try:
        return bool(api.list_cluster_custom_object("volsync.backube", "v1alpha1", "replicationsources"))
    except client.ApiException:
        return False


def kubeconfig(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.write_text(yaml.safe_dump(content))
    return path


@contextmanager
def connected(path: Path) -> Generator[client.ApiClient]:
    with new_client_from_config(str(path)) as connection:  # type: ignore[no-untyped-call]
        yield connection


@contextmanager
def running(command: list[Any], log: Path, **environment: str) -> Generator[subprocess.Popen[bytes]]:
    """Run a process for as long as the block lasts; killed, not asked, so that nothing may depend on its farewell."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def until(holds: Callable[[], Any], seconds: float = 30) -> None:
    """Wait until something holds; how long it takes is no matter."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
