"""A FastAPI receiver that takes what Logto sends, counts it, and does nothing else; for the benchmarks."""

from __future__ import annotations

import json
import sys
from typing import Any

from fastapi import FastAPI, Request, Response

app = FastAPI()
taken = 0


@app.post("/")
async def take(request: Request) -> Response:
    global taken
    taken += 1
    try:
        message: Any = json.loads(await request.body())
    except (ValueError, RecursionError):
        return Response(status_code=400)
    known = isinstance(message, dict) and isinstance(message.get("payload"), dict)
    return Response(status_code=200 if known else 422)


@app.get("/taken")
async def count() -> int:
    return taken


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
