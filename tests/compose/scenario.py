"""What is done to the containers, step by step; each step says what it saw, or fails."""

import time
from collections import Counter

import pytest
from tenacity import retry, stop_after_attempt, wait_fixed

from tests.compose import webhooks
from tests.compose.containers import SECRETS, Containers, Failed, run
from tests.compose.load import Crowd, count_fates, labelled_photos, wait_all_ended
from tests.waiting import wait_for

_API_MOST_MB = 250  # over its base image
_LEASE_SECONDS = 8
_BETWEEN_BLOWS = 100  # jobs accepted before the next, so that each meets a service that works
_BACKLOG_SECONDS = 3
_DRAINED = 1500


def builds(stack: Containers) -> str:
    stack.compose("build", seconds=1800)
    sizes = {
        name: int(run("docker", "image", "inspect", "--format", "{{.Size}}", name)) // 1_000_000
        for name in ("turno-api", "turno-worker", "python:3.11-slim-bookworm")
    }
    over = sizes["turno-api"] - sizes["python:3.11-slim-bookworm"]
    assert over <= _API_MOST_MB, f"the API image has {over} MB over its base"
    return f"turno-api {over} MB over its base, turno-worker {sizes['turno-worker']} MB in all"


def knows_no_tensorflow(stack: Containers) -> str:
    for runtime in ("tensorflow", "keras", "openvino"):
        with pytest.raises(Failed, match=f"No module named '{runtime}'"):
            run("docker", "run", "--rm", "turno-api", "python", "-c", f"import {runtime}")
    found = run("docker", "run", "--rm", "turno-worker", "sh", "-c", "ls -A /app; ls /app/models/*/prepared")
    assert ".env" not in found, found
    return "the API image cannot import TensorFlow; the worker image carries its model prepared"


def refuses_without_secrets(stack: Containers) -> str:
    for name in SECRETS:
        value = stack.environment.pop(name)
        with pytest.raises(Failed, match=name):
            stack.compose("config")
        stack.environment[name] = value
    return f"not without {', '.join(SECRETS)}"


def comes_up(stack: Containers) -> str:
    started = time.monotonic()
    stack.up(LEASE_SECONDS=str(_LEASE_SECONDS), WEBHOOK_ALLOW_NETWORKS=webhooks.PRIVATE_NETWORKS)
    stack.wait_ready()
    ready = time.monotonic() - started
    stack.wait_healthy()
    return f"ready after {ready:.0f} s, every container healthy after {time.monotonic() - started:.0f} s"


def is_hardened(stack: Containers) -> str:
    published = []
    for container in stack.ids():
        found = stack.inspect(container)
        host, name = found["HostConfig"], str(found["Name"])
        assert host["ReadonlyRootfs"], f"{name}: its root can be written"
        assert host["CapDrop"] == ["ALL"], f"{name}: {host['CapDrop']}"
        assert any(str(option).startswith("no-new-privileges") for option in host["SecurityOpt"]), name  # type: ignore[union-attr]
        assert host["Memory"], f"{name}: no memory limit"
        assert "worker" not in name or host["MemorySwap"] == host["Memory"], f"{name} may swap"
        assert host["LogConfig"]["Config"].get("max-size"), f"{name}: its log grows without end"  # type: ignore[index]
        assert run("docker", "exec", container, "id", "-u") != "0", f"{name} runs as root"
        published += [name for bound in (host["PortBindings"] or {}).values() if bound]  # type: ignore[union-attr]
        if "worker" in name:
            assert (host["Memory"], host["NanoCpus"]) == (2 << 30, 1_000_000_000), host
    assert len(published) == 1, f"published: {published}"
    assert "api" in published[0], f"published: {published}"
    return "read-only, no root, no capabilities, limits, log rotation; only the API is published"


def answers(stack: Containers) -> str:
    http = stack.client
    page = http.get("/", headers={"X-API-Key": ""})
    assert (page.status_code, "text/html" in page.headers["content-type"]) == (200, True), page.text[:200]
    for path, label in labelled_photos():
        data = path.read_bytes()
        ticket = http.post("/v1/jobs", files={"file": (path.name, data)}, headers={"Prefer": "wait=30"}).json()
        assert ticket["result"]["predicted_class"] == label, ticket
        answer = http.post("/predict", files={"file": (path.name, data)}).json()
        assert answer["predicted_class"] == label, answer
    form = {"files": {"file": (path.name, data)}, "headers": {"Idempotency-Key": "a page sends one"}}
    sent = http.post("/v1/jobs", **form).json()  # type: ignore[arg-type]
    assert http.get(f"/v1/jobs/{sent['id']}", headers={"Prefer": "wait=20"}).json()["status"] == "succeeded"
    for wrong in ("", "0" * 64):
        refused = http.post("/v1/jobs", files={"file": (path.name, data)}, headers={"X-API-Key": wrong})
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized"), refused.text
    return f"{len(labelled_photos())} photos right through /v1/jobs and /predict; the page's route; no key, no entry"


def survives_everything(stack: Containers) -> str:
    webhooks.start_receiver(stack)
    crowd = Crowd(stack)
    try:
        for blow in _BLOWS:
            crowd.wait_for_accepted(_BETWEEN_BLOWS)
            blow(stack)
        crowd.wait_for_accepted(_BETWEEN_BLOWS)
    finally:
        crowd.stop()
    stack.wait_ready()
    wait_all_ended(stack)
    fates = count_fates(stack, crowd.accepted)
    assert fates["run more than once"], "no blow hit a worker with jobs in hand"
    lost = len(crowd.accepted) - fates["succeeded"]
    assert not lost, f"{lost} of {len(crowd.accepted)} did not succeed: {dict(fates)}"
    heard = webhooks.heard_of_everything(stack, crowd.accepted)
    webhooks.remove_receiver(stack)
    return (
        f"{len(crowd.accepted)} accepted, each ended once and rightly, {fates['run more than once']} after more than "
        f"one attempt; {heard}; refused meanwhile: {_counted(crowd.refused)}"
    )


def drains(stack: Containers) -> str:
    """How fast the worker, alone with a line of photos, ends them: from the first claim to the last result."""
    stack.compose("stop", "worker")
    (before,) = stack.sql("SELECT coalesce(max(received_at), 0) FROM jobs")[0]
    crowd = Crowd(stack)
    crowd.wait_for_accepted(_DRAINED)
    crowd.stop()
    stack.compose("start", "worker")
    wait_all_ended(stack)
    rate = "count(*) * 1e6 / (max(finished_at) - min(claimed_at))"
    (jobs_per_second,) = stack.sql(f"SELECT round({rate}) FROM jobs WHERE received_at > {before}")[0]
    limit = int(stack.inspect(stack.ids("worker")[0])["HostConfig"]["Memory"]) >> 20  # type: ignore[call-overload]
    return f"{jobs_per_second} jobs/s by one worker of one CPU and {limit} MiB, {len(crowd.accepted)} photos waiting"


def tells_no_secret(stack: Containers) -> str:
    logs = stack.compose("logs", "--no-color")
    for name in SECRETS:
        assert stack.environment[name] not in logs, f"{name} stands in a log"
    return f"{len(logs.splitlines())} log lines, none with a secret"


def serves_in_one_gigabyte(stack: Containers) -> str:
    stack.up("--no-deps", "worker", WORKER_MEMORY="1g")
    (worker,) = stack.ids("worker")
    assert stack.inspect(worker)["HostConfig"]["Memory"] == 1 << 30
    wait_for(lambda: stack.inspect(worker)["State"]["Health"]["Status"] == "healthy", "the worker", 120)  # type: ignore[index]
    answers(stack)
    seen = drains(stack)
    assert not stack.inspect(worker)["State"]["OOMKilled"]
    return seen


def _kill_worker(stack: Containers) -> None:
    (worker,) = stack.ids("worker")
    _pause(stack, "worker", _BACKLOG_SECONDS)  # afterwards it has its hands full
    run("docker", "kill", worker)
    run("docker", "start", worker)


def _crash_worker(stack: Containers) -> None:
    """Kills what runs in the container; its restart policy has to bring it back."""
    (worker,) = stack.ids("worker")
    before = stack.inspect(worker)["State"]["StartedAt"]
    _pause(stack, "worker", _BACKLOG_SECONDS)
    run("docker", "exec", worker, "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)")
    wait_for(lambda: stack.inspect(worker)["State"]["StartedAt"] != before, "the worker to be restarted", 60)


def _pause_worker(stack: Containers) -> None:
    """Longer than a lease: its jobs go to whoever comes, and what it says afterwards counts for nothing."""
    _pause(stack, "worker", 3 * _LEASE_SECONDS)


def _restart_redis(stack: Containers) -> None:
    stack.compose("restart", "redis")


def _kill_redis(stack: Containers) -> None:
    (redis,) = stack.ids("redis")
    run("docker", "kill", redis)
    time.sleep(3)
    run("docker", "start", redis)


def _restart_postgres(stack: Containers) -> None:
    stack.compose("restart", "postgres")


def _pause_redis(stack: Containers) -> None:
    _pause(stack, "redis", 6)


def _pause_postgres(stack: Containers) -> None:
    """Longer than a request waits for SQL."""
    _pause(stack, "postgres", 30)


def _cut_postgres(stack: Containers) -> None:
    """Off the network without a word: what was asked is never answered, and no connection is ever closed."""
    (postgres,) = stack.ids("postgres")
    network = f"{stack.project}_default"
    run("docker", "network", "disconnect", "--force", network, postgres)
    time.sleep(40)  # longer than it takes to find out
    run("docker", "network", "connect", "--alias", "postgres", network, postgres)


def _pause(stack: Containers, service: str, seconds: float) -> None:
    container = stack.ids(service)[0]
    freeze = retry(stop=stop_after_attempt(3), wait=wait_fixed(1), reraise=True)(run)
    freeze("docker", "pause", container)  # the kernel gives up now and then on one that is very busy
    time.sleep(seconds)
    run("docker", "unpause", container)


def _kill_postgres(stack: Containers) -> None:
    (postgres,) = stack.ids("postgres")
    run("docker", "kill", postgres)
    time.sleep(3)
    run("docker", "start", postgres)


def _scale(stack: Containers) -> None:
    stack.wait_healthy()  # Compose starts nothing beside an API that was unhealthy a moment ago
    stack.up("--no-recreate", "--scale", "worker=3")
    wait_for(lambda: stack.client.get("/v1/models").json()["models"][0].get("workers") == 3, "three workers", 120)
    _pause(stack, "worker", _BACKLOG_SECONDS)
    stack.up("--no-recreate", "--scale", "worker=1")


def _counted(refused: Counter[str]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in refused.most_common()) or "none"


_BLOWS = (
    _kill_worker,
    webhooks.kill_receiver,
    _crash_worker,
    webhooks.kill_courier,
    _pause_worker,
    _restart_redis,
    _kill_redis,
    _pause_redis,
    _restart_postgres,
    _kill_postgres,
    _pause_postgres,
    _cut_postgres,
    _scale,
)
