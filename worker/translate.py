"""The OpenVINO half of `prepare`, in a process of its own: `python -m worker.translate EXPORTED MODEL_XML`."""

import sys
from pathlib import Path

from worker.conversion import STEP
from worker.engines.openvino import convert_model

if __name__ == "__main__":
    sys.stdout.write(f"{STEP}translating it for OpenVINO\n")
    sys.stdout.flush()
    convert_model(*map(Path, sys.argv[1:]))
