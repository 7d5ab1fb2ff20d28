"""Requests to the stand-in, its answers, and the table of what answers which request."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.logto.state import Refused, State, User


@dataclass(frozen=True)
class Request:
    """One request, read: ``body`` is a JSON value or the fields of a form."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    cookies: dict[str, str]
    authorization: str
    verification: str
    at_console: bool

    @property
    def token(self) -> str:
        """The access token."""
        return self.authorization.removeprefix("Bearer ")


@dataclass(frozen=True)
class Answer:
    """One answer; without a body if it is None."""

    status: int = 204
    body: Any = None
    location: str | None = None
    cookies: tuple[str, ...] = ()


Handler = Callable[..., Answer]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Register a function for requests; the groups of the path, a pattern, are its last arguments."""

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, re.compile(path), handler))
        return handler

    return register


def answer_request(state: State, request: Request) -> Answer:
    """Return the answer to a request.

    Raises:
        Refused: The answer is an error.
        Cut: There is no answer.
    """
    for method, path, handler in ROUTES:
        if method == request.method and (match := path.fullmatch(request.path)):
            return handler(state, request, *match.groups())
    raise Refused(404, "entity.not_found", f"{request.method} {request.path}")


def require_backend(state: State, request: Request) -> None:
    """Refuse a request without a token of the management API."""
    if state.tokens.get(request.token, ...) is not None:
        raise Refused(401, "auth.unauthorized")


def require_user(state: State, request: Request) -> User:
    """Return the user whose token a request has."""
    user = state.tokens.get(request.token)
    if user is None:
        raise Refused(401, "auth.unauthorized")
    return user
