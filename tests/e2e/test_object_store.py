"""The whole service with its images, and its model, in a bucket, and with the engine that its operator names."""

import json
from pathlib import Path

import pytest

from tests.conftest import LEAF_HEALTH
from tests.photos import GOLDEN
from tests.s3_server import BUCKET, S3Server
from tests.stack import Stack
from worker.prepare import prepare_served_model


def test_photo_and_model_in_a_bucket_give_the_diagnosis_and_are_erased_with_it(
    s3: S3Server, tmp_path: Path, short_folder: Path
) -> None:
    for path in (LEAF_HEALTH / "card.toml", LEAF_HEALTH / "model.keras", *(LEAF_HEALTH / "golden").iterdir()):
        s3.put(f"models/leaf-health/{path.relative_to(LEAF_HEALTH)}", path.read_bytes())
    models = s3.stored()
    places = {"IMAGE_STORE": f"s3://{BUCKET}/photos", "MODEL_PATH": f"s3://{BUCKET}/models/leaf-health"}
    given = {name.upper(): value for name, value in s3.settings.items()}
    stack = Stack(tmp_path, short_folder, ENGINE="openvino", **places, **given)
    try:
        prepare_served_model(stack.settings)
        stack.start()
        golden = json.loads((GOLDEN / "golden.json").read_text())[0]
        ticket = stack.submit((GOLDEN / golden["file"]).read_bytes(), Prefer="wait=60")
        assert ticket["result"]["predicted_class"] == golden["label"]
        assert ticket["result"]["predictions"] == pytest.approx(golden["probabilities"], abs=0.002)
        model = ticket["result"]["model"]
        assert (model["name"], model["engine"]) == ("leaf-health", "openvino")
        key = f"photos/{ticket['id'][-2:]}/{ticket['id']}"
        assert s3.stored() == sorted([*models, key, "photos/turno-store"])
        assert stack.client.delete(f"/v1/jobs/{ticket['id']}").status_code == 204
        assert s3.stored() == sorted([*models, "photos/turno-store"])
    finally:
        stack.close()
