"""The fixture and ``serve`` send the same response to the same request, headers included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.http_client import INVALID, MESSAGE, Client, post
from tests.support.serving import serving

from logto_mail_contract import MailServer

if TYPE_CHECKING:
    from tests.support.http_client import Response

AUTHORIZATION = "Bearer s3cret"
GIVEN = f"Authorization: {AUTHORIZATION}"
REQUESTS = {
    "valid": (200, MESSAGE, [GIVEN], "POST"),
    "invalid": (400, INVALID, [GIVEN], "POST"),
    "not JSON": (400, b"{", [GIVEN], "POST"),
    "framing": (400, MESSAGE, [GIVEN, "Content-Length: 3", "Content-Length: 4"], "POST"),
    "no authorization": (401, MESSAGE, [], "POST"),
    "method": (405, MESSAGE, [GIVEN], "PUT"),
    "content type": (415, MESSAGE, [GIVEN, "Content-Type: text/plain"], "POST"),
}
OWN_HEADERS = {"date", "cache-control", "x-content-type-options"}
"""Headers that only ``serve`` adds: the date, and others if its application handles the request."""


def without_own_headers(response: Response) -> Response:
    headers = {name: value for name, value in response.headers.items() if name not in OWN_HEADERS}
    return response._replace(headers=headers)


@pytest.mark.parametrize("has_script", [False, True], ids=["recorded at once", "through the application"])
@pytest.mark.parametrize("name", REQUESTS)
def test_both_endpoints_send_the_same_response(name: str, *, has_script: bool) -> None:
    status, body, lines, method = REQUESTS[name]
    with MailServer() as fixture, serving(authorization=AUTHORIZATION) as standing:
        if has_script:
            standing.api.script({"status": 500, "to": "nobody@example.com"})
        endpoint = fixture.endpoint(path="/mail", authorization=AUTHORIZATION, lenient=True)
        expected = without_own_headers(post(endpoint.url, body, *lines, method=method))
        actual = without_own_headers(post(f"{standing.url}/mail", body, *lines, method=method))
    assert expected.status == status
    assert actual == expected


def test_both_endpoints_send_the_same_response_to_bytes_that_are_no_request() -> None:
    with MailServer() as fixture, serving() as standing:
        responses = []
        for url in (fixture.url, standing.url):
            with Client(url) as client:
                client.send(b"EHLO mail.test\r\n")
                responses.append(without_own_headers(client.read_response()))
    assert responses[0].status == 400
    assert responses[0] == responses[1]
