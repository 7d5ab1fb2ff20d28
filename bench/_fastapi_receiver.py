"""A FastAPI receiver that only accepts and counts what Logto sends; for the benchmarks."""

from __future__ import annotations

import json
import sys
from typing import Any

from fastapi import FastAPI, Request, Response

app = FastAPI()
received = 0


@app.post("/")
async def receive(request: Request) -> Response:
    global received
    received += 1
    try:
        message: Any = json.loads(await request.body())
    except (ValueError, RecursionError):
        return Response(status_code=400)
    known = isinstance(message, dict) and isinstance(message.get("payload"), dict)
    return Response(status_code=200 if known else 422)


@app.get("/count")
async def count() -> int:
    return received


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
