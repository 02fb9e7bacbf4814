"""The OpenVINO half of `prepare`, in a process of its own: `python -m worker.translate SAVED_MODEL MODEL_XML`."""

import sys
from pathlib import Path

from worker.conversion import STEP
from worker.engines.openvino import convert_saved_model

if __name__ == "__main__":
    sys.stdout.write(f"{STEP}translating it for OpenVINO\n")
    sys.stdout.flush()
    convert_saved_model(*map(Path, sys.argv[1:]))
