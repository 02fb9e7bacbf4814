"""A receiver of webhooks in a container beside the stack, killed and revived, and what it heard in the end."""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Collection

from shared.hooks import new_secret
from tests.compose.containers import Containers, Failed, run
from tests.waiting import wait_for

PRIVATE_NETWORKS = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"  # whichever of them Docker gives to the project
_AWAY_SECONDS = 10  # long enough for deliveries to fail twice: the next attempt would be five minutes away
_SECRET = new_secret()


def start_receiver(stack: Containers) -> None:
    """Starts it on the stack's network, and has it told of every end."""
    run(
        "docker", "run", "--detach", "--name", _name(stack), "--network", f"{stack.project}_default",
        "--network-alias", "receiver", "--memory", "256m", "--env", f"TURNO_WEBHOOK_SECRET={_SECRET}", "turno-api",
        "python", "-m", "turno", "listen", "--host", "0.0.0.0", "--port", "9000", "--json",
    )  # fmt: skip
    wait_for(lambda: _listens(stack), "the receiver to listen", 60)
    wanted = {"url": "http://receiver:9000/hook", "secret": _SECRET}
    made = stack.client.post("/v1/webhooks", json=wanted)
    assert made.status_code == 201, made.text


def remove_receiver(stack: Containers) -> None:
    """Removes it, if it was started."""
    with contextlib.suppress(Failed):
        run("docker", "rm", "--force", _name(stack))


def kill_receiver(stack: Containers) -> None:
    """Has it miss what is told meanwhile."""
    run("docker", "kill", _name(stack))
    time.sleep(_AWAY_SECONDS)
    run("docker", "start", _name(stack))


def kill_courier(stack: Containers) -> None:
    """Leaves what it has under way to the next one."""
    (courier,) = stack.ids("courier")
    run("docker", "kill", courier)
    time.sleep(3)
    run("docker", "start", courier)


def heard_of_everything(stack: Containers, accepted: Collection[str]) -> str:
    """Asks for what waits for a later attempt at once, then compares what was heard with what was accepted.

    Raises:
        AssertionError: the receiver has not heard of every job, or of one by two names.
    """
    (webhook,) = stack.client.get("/v1/webhooks").json()["webhooks"]
    hurried = 0

    def all_delivered() -> bool:
        nonlocal hurried
        left = stack.sql("SELECT count(*), coalesce(min(tries), 0) FROM deliveries WHERE state <> 'succeeded'")[0]
        if left[0] != "0" and int(left[1]) > 1:  # none of them is on its way for the first time
            again = {"since": "2000-01-01T00:00:00Z", "state": "pending"}
            answer = stack.client.post(f"/v1/webhooks/{webhook['id']}/redeliver", json=again)
            assert answer.status_code == 202, answer.text
            hurried += int(answer.json()["deliveries"])
        return left[0] == "0"

    wait_for(all_delivered, "every webhook to be delivered", 240)
    lines = run("docker", "logs", _name(stack)).splitlines()
    heard = [json.loads(line) for line in lines if line.startswith("{")]
    assert all(one["verified"] for one in heard), "a signature was wrong"
    ends = Counter(one["payload"]["data"]["id"] for one in heard if one["type"] == "job.succeeded")
    missing = set(accepted) - ends.keys()
    assert not missing, f"{len(missing)} of {len(accepted)} were never told of: {sorted(missing)[:5]}"
    names = {(one["payload"]["data"]["id"], one["id"]) for one in heard}
    assert len(names) == len({job for job, _ in names}), "a job's end was told under two ids"
    tried = stack.sql("SELECT coalesce(sum(json_array_length(attempts)), 0) FROM deliveries")[0][0]
    return (
        f"{len(ends)} webhooks heard and verified, {sum(ends.values()) - len(ends)} of them again, {tried} attempts, "
        f"{hurried} hurried after the receiver's absence"
    )


def _listens(stack: Containers) -> bool:
    knock = "import socket; socket.create_connection(('127.0.0.1', 9000), 2)"
    try:
        run("docker", "exec", _name(stack), "python", "-c", knock)
    except Failed:
        return False
    return True


def _name(stack: Containers) -> str:
    return f"{stack.project}-receiver"
