"""The stub's batches: many photos in one request, asked after together."""

import asyncio
import time
from collections import Counter
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from tests.page.stub import Stub, new_job, problem

ENDED = ("succeeded", "failed", "canceled")


def view(batch: dict[str, Any], stub: Stub) -> dict[str, Any]:
    """The batch as its caller sees it now."""
    states = [stub.jobs[one["id"]]["status"] if one["id"] in stub.jobs else "erased" for one in batch["jobs"]]
    counts = Counter({"refused": len(batch["refused"])} | dict.fromkeys(("queued", "running", *ENDED, "erased"), 0))
    counts.update(states)
    done = not counts["queued"] + counts["running"]
    return batch | {"counts": dict(counts), "done": done, "eta_seconds": None if done else stub.eta_seconds}


def answer(batch: dict[str, Any], stub: Stub, status: int = 200) -> JSONResponse:
    """The view, with when to ask again."""
    body = view(batch, stub)
    return JSONResponse(body, status, headers={} if body["done"] else {"Retry-After": str(stub.retry_after_seconds)})


def take(names: list[str], key: str, stub: Stub) -> dict[str, Any]:
    """Make a job of every file but those whose name begins with "cut"."""
    batch_id = f"b{len(stub.batches)}{time.monotonic_ns():x}"
    base = f"/v1/batches/{batch_id}"
    batch: dict[str, Any] = {
        "id": batch_id, "received_at": "2026-11-22T02:00:00.000Z", "total": len(names), "jobs": [], "refused": [],
        "urls": {"self": base, "jobs": f"/v1/jobs?batch={batch_id}", "cancel": f"{base}/cancel"},
    }  # fmt: skip
    for index, name in enumerate(names):
        place = {"index": index, "filename": name}
        if name.startswith("cut"):
            batch["refused"].append(place | {"code": "image-undecodable", "detail": f"{name} is cut off."})
            continue
        job_id = f"01935000-0000-7000-9000-{len(stub.jobs):08x}{time.monotonic_ns() % 0xFFFF:04x}"
        new_job(job_id, name, stub)["batch_id"] = batch_id
        batch["jobs"].append(place | {"id": job_id})
    if batch["jobs"]:
        stub.batches[batch_id] = stub.batches_by_key[key] = batch
    return batch


def rows(batch: dict[str, Any], stub: Stub) -> list[dict[str, Any]]:
    """What became of each file."""
    found = [
        {"index": one["index"], "filename": one["filename"], "job_id": None, "status": "refused"}
        for one in batch["refused"]
    ]
    for one in batch["jobs"]:
        job = stub.jobs[one["id"]]
        best = (job["result"] or {}).get("predicted_class")
        found.append({"index": one["index"], "filename": one["filename"], "job_id": one["id"], "status": job["status"]})
        found[-1]["predicted_class"] = best
    return sorted(found, key=lambda row: row["index"])


def add_batch_routes(app: FastAPI, stub: Stub) -> None:
    """The routes under /v1/batches, and the list of a batch's jobs."""

    @app.post("/v1/batches")
    async def submit(request: Request) -> Response:
        if int(request.headers["content-length"]) > stub.most_batch_bytes:
            return problem(413, "upload-too-large")
        key = request.headers["idempotency-key"]
        stub.uploading += 1
        stub.most_uploading = max(stub.most_uploading, stub.uploading)
        async with request.form() as form:
            names = [str(file.filename) for file in form.getlist("files")]  # type: ignore[union-attr]
        await asyncio.sleep(stub.upload_seconds)
        stub.uploading -= 1
        if key in stub.batches_by_key:
            return answer(stub.batches_by_key[key], stub, 202)
        batch = take(names, key, stub)
        if not batch["jobs"]:
            return problem(422, "batch-refused", more={"refused": batch["refused"]})
        if stub.lose_answers:
            stub.lose_answers -= 1
            return Response("<h1>Bad gateway</h1>", 502, media_type="text/html")
        return answer(batch, stub, 202)

    @app.get("/v1/batches/{batch_id}")
    async def look(batch_id: str) -> Response:
        stub.looks.append(time.monotonic())
        return answer(stub.batches[batch_id], stub) if batch_id in stub.batches else problem(410, "batch-erased")

    @app.post("/v1/batches/{batch_id}/cancel")
    async def cancel(batch_id: str) -> Response:
        for one in stub.batches[batch_id]["jobs"]:
            job = stub.jobs[one["id"]]
            if job["status"] == "queued":
                job.update(status="canceled", version=job["version"] + 1, position=None, eta_seconds=None)
        return answer(stub.batches[batch_id], stub)

    @app.get("/v1/batches/{batch_id}/results")
    async def results(batch_id: str) -> dict[str, Any]:
        batch = stub.batches[batch_id]
        return {"batch": batch_id, "done": view(batch, stub)["done"], "results": rows(batch, stub)}

    @app.get("/v1/batches/{batch_id}/results.csv")
    async def results_csv(batch_id: str) -> Response:
        lines = ["index,filename,status,predicted_class"]
        lines += [
            f'{row["index"]},"{row["filename"]}",{row["status"]},{row.get("predicted_class", "")}'
            for row in rows(stub.batches[batch_id], stub)
        ]
        return Response("\r\n".join(lines) + "\r\n", media_type="text/csv; charset=utf-8")

    @app.get("/v1/jobs")
    async def listing(batch: str, limit: int) -> dict[str, Any]:
        members = [job for job in stub.jobs.values() if job.get("batch_id") == batch]
        return {"jobs": members[::-1][:limit], "next": None if len(members) <= limit else "/v1/jobs?cursor=x"}
