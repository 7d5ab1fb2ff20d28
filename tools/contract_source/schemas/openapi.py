"""The OpenAPI document: the endpoint that a receiver offers to Logto."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pieces import format_releases
from .receiver import build_receiver
from .references import move_refs
from .samples import make_sample
from .texts import TYPE_MEANINGS

if TYPE_CHECKING:
    from ..files import Json
    from .revisions import Revision


def make_refusal(description: str, reason: str) -> Json:
    """Return an OpenAPI response that refuses a message, with a body of any content type."""
    return {
        "description": description,
        "content": {
            "application/json": {"schema": {}, "example": {"error": reason}},
            "text/plain": {"schema": {"type": "string"}, "example": reason},
            "*/*": {"schema": {}},
        },
    }


CONTACT: Json = {
    "name": "The logto-mail-contract maintainers",
    "url": "https://github.com/logto-mail-contract/logto-mail-contract/issues",
}
LOCATION_HEADER: Json = {
    "Location": {
        "description": "The URL to which Logto sends the request again.",
        "schema": {"type": "string"},
    }
}


def make_redirect(description: str) -> Json:
    """Return an OpenAPI response with a Location header."""
    return {"description": description, "headers": LOCATION_HEADER}


FAILURE = (
    "Logto does not retry. The user's request fails with HTTP 400 connector.general. The error carries the "
    "text of this response, so put nothing confidential into it."
)


def build_openapi(revision: Revision) -> Json:
    """Return ``openapi.json``: the endpoint that a receiver offers to Logto."""
    receiver = build_receiver(revision)
    schemas = {"MailMessage": {key: value for key, value in receiver.items() if key[0] != "$"}}
    schemas |= receiver["$defs"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "HTTP email endpoint for Logto",
            "version": revision.id,
            "summary": "The endpoint that a receiver offers to Logto's HTTP email connector.",
            "description": (
                f"Logto (contract revision {revision.id}, {format_releases(revision)}) posts each mail to "
                "one URL of your choice and waits for the response inside the user's own request. The "
                "connector waits without limit. Logto's hosted sign-in page gives up after 10 seconds, and "
                "Logto's server cuts the user's connection after 120 seconds. End every response validly "
                "and well within 10 seconds. There is no idempotency key and no retry. A resent invitation "
                "is equal byte for byte, so do not drop a message because its body is known. Facts: "
                f"packages/connectors/connector-http-email/src/index.ts, {format_releases(revision)}."
            ),
            "contact": CONTACT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [
            {
                "url": "{origin}",
                "description": (
                    "The server of your receiver. The connector's configuration has the whole URL, which may "
                    "have any path and query; this document uses the path /logto-mail."
                ),
                "variables": {
                    "origin": {
                        "default": "https://mail.example.com",
                        "description": (
                            "Scheme, host and port. Userinfo would replace the Authorization header."
                        ),
                    }
                },
            }
        ],
        "tags": [{"name": "mail", "description": "Messages from Logto."}],
        "paths": {
            "/logto-mail": {
                "post": {
                    "operationId": "sendMessage",
                    "tags": ["mail"],
                    "summary": "Accept one message from Logto and send it as a mail.",
                    "description": (
                        "The request is HTTP/1.1 with Content-Type application/json without charset, and "
                        "always with Content-Length. The body is compact UTF-8 JSON with the members in the "
                        "order to, type, payload, ip. Nothing signs it: the Authorization header is the "
                        "only proof of the sender."
                    ),
                    "security": [{"authorization": []}, {}],
                    "requestBody": {
                        "required": True,
                        "description": "One message.",
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/MailMessage"},
                                "examples": {
                                    name: {
                                        "summary": TYPE_MEANINGS[name],
                                        "value": make_sample(revision, name),
                                    }
                                    for name in revision.emitted_types
                                },
                            }
                        },
                    },
                    "responses": {
                        "2XX": {
                            "description": (
                                "The message was accepted. Any status from 200 to 299 means the same. Logto "
                                "reads the body to its end and ignores it. A 204 with body bytes makes the "
                                "send fail."
                            )
                        },
                        "304": {
                            "description": (
                                "Counts as accepted if the response has no Location header and no body. Do "
                                "not rely on it: respond with 2xx."
                            )
                        },
                        "303": make_redirect(
                            "Followed with GET and without the body. A 200 there looks like success "
                            "although the message is lost. Do not use it."
                        ),
                        "3XX": make_redirect(
                            "300, 301, 302, 307 and 308 with a Location are followed, up to 10 times, with "
                            "POST and the whole body, code included. Authorization is sent only to the same "
                            "host and port. Any other 3xx is a failure like a 4xx."
                        ),
                        "401": make_refusal(
                            f"The Authorization header is not the configured one. {FAILURE}",
                            "The Authorization header is wrong.",
                        ),
                        "4XX": make_refusal(
                            f"The message was refused. {FAILURE} This includes 429.",
                            "The body is not a message.",
                        ),
                        "5XX": make_refusal(
                            f"The message was not accepted. {FAILURE} Retry-After is ignored. An invitation "
                            "whose mail fails is not created, so a link that was mailed anyway leads "
                            "nowhere.",
                            "The mail server is not reachable.",
                        ),
                    },
                }
            }
        },
        "components": {
            "schemas": move_refs(schemas, "#/components/schemas/{}".format),
            "securitySchemes": {
                "authorization": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": (
                        "The text of the connector's setting authorization, verbatim: any scheme or none. "
                        "It is optional in Logto: without the setting there is no header. With an empty one, "
                        "only the connector test sends a header, which is empty. Set one and check it."
                    ),
                }
            },
        },
    }
