"""A client for Turno's HTTP interface; it needs httpx, httpx-sse and tenacity, and nothing of the service.

```python
from pathlib import Path

from turno.client import Turno

with Turno("https://turno.example.org", api_key="…") as turno:
    job = turno.submit(Path("leaf.jpg"))
    print(turno.result(job.id).predicted_class)
```
"""

from turno.client.answers import Batch, BatchResult, Hint, Job, JobError, Model, Part, Receipt, Result, Verdict
from turno.client.errors import JobFailed, NotTurno, Refused, TimedOut, TurnoError, Unreachable
from turno.client.images import Image
from turno.client.service import Turno

__all__ = [
    "Batch",
    "BatchResult",
    "Hint",
    "Image",
    "Job",
    "JobError",
    "JobFailed",
    "Model",
    "NotTurno",
    "Part",
    "Receipt",
    "Refused",
    "Result",
    "TimedOut",
    "Turno",
    "TurnoError",
    "Unreachable",
    "Verdict",
]
