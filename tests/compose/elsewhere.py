"""The same images in other ways: everything in one small container, and images and model in a bucket."""

import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.compose import scenario
from tests.compose.containers import Containers, run
from tests.compose.load import labelled_photos
from tests.compose.memory import MemoryWatch, read_memory
from tests.conftest import LEAF_HEALTH
from tests.s3_server import BUCKET, running_s3
from tests.waiting import wait_for


def one_small_box() -> str:
    """`python -m turno up` in one container of 2 GB and one CPU, as a platform runs it, with its PORT."""
    key = secrets.token_hex(32)
    container = run(
        "docker", "run", "--detach", "--memory", "2g", "--cpus", "1", "--env", "PORT=9000", "--env", f"API_KEY={key}",
        "--publish", "127.0.0.1::9000", "turno-worker", "python", "-m", "turno", "up",
    )  # fmt: skip
    try:
        address = run("docker", "port", container, "9000/tcp").splitlines()[0]
        with httpx.Client(base_url=f"http://{address}", headers={"X-API-Key": key}, timeout=60) as http:

            def ready() -> bool:
                try:
                    return http.get("/readyz").status_code == 200
                except httpx.TransportError:
                    return False

            wait_for(ready, "the box to be ready", 120)
            for path, label in labelled_photos():
                answer = http.post("/predict", files={"file": (path.name, path.read_bytes())}).json()
                assert answer["predicted_class"] == label, answer
        processes, _, limit = read_memory(container)
        assert key not in run("docker", "logs", container)
        run("docker", "stop", "--time", "60", container)
        code = run("docker", "inspect", "--format", "{{.State.ExitCode}}", container)
        assert code == "0", f"it stopped with {code}"
        return f"everything in one container: {processes / 1e6:.0f} MB of {limit / 1e6:.0f}"
    finally:
        run("docker", "rm", "--force", container)


def images_in_a_bucket() -> str:
    """Photos and model on S3; the worker fetches the model and converts it, even within 1 GB and one CPU."""
    asked = run("docker", "run", "--rm", "--add-host", "here:host-gateway", "turno-api", "getent", "hosts", "here")
    gateway = asked.split()[0]  # this machine, as containers see it
    with TemporaryDirectory() as folder, running_s3(Path(folder), gateway) as server:
        server.fresh()
        for path in (LEAF_HEALTH / "card.toml", LEAF_HEALTH / "model.keras", *(LEAF_HEALTH / "golden").iterdir()):
            server.put(f"models/leaf-health/{path.relative_to(LEAF_HEALTH)}", path.read_bytes())
        places = {"IMAGE_STORE": f"s3://{BUCKET}/photos", "MODEL_PATH": f"s3://{BUCKET}/models/leaf-health"}
        stack = Containers(
            WORKER_MEMORY="1g", **places, **{name.upper(): value for name, value in server.settings.items()}
        )
        watch = MemoryWatch(stack)
        try:
            stack.up()
            stack.wait_ready()
            scenario.answers(stack)
            photos = [key for key in server.stored() if key.startswith("photos/")]
            assert len(photos) > len(labelled_photos()), photos
            erased = photos[0].rpartition("/")[2]
            assert stack.client.delete(f"/v1/jobs/{erased}").status_code == 204
            assert not [key for key in server.stored() if key.endswith(erased)]
            scenario.tells_no_secret(stack)
        finally:
            watch.stop()
            stack.down()
    most = max(peak.processes for name, peak in watch.peaks.items() if name.startswith("worker"))
    return f"{len(photos) - 1} photos in the bucket, one erased; the worker took {most / 1e6:.0f} MB at most"
