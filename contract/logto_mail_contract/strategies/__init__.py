"""Hypothesis strategies: messages of the contract, messages with one mistake, and broken requests.

A property test of a receiver needs one line to draw what Logto may send::

    from hypothesis import given
    from logto_mail_contract.strategies import messages

    @given(messages(layer="emitted"))
    def test_renders_every_mail(message):
        render(message["type"], message["payload"])

Values that crash real receivers are drawn often: missing context, users whose fields are null, names with
markup, quotation marks, line breaks and bidirectional controls, codes with leading zeros, invitations
without a link. Every recipient that has a domain is in a domain reserved for tests.

- ``messages`` draws messages that are valid in a layer.
- ``mutations`` draws a ``Mutation``, a message with one named mistake. ``mutate`` makes a mistake by its
  name, and ``mutation_names`` lists the names.
- ``http_requests`` draws a ``BrokenRequest``, a request with one named fault. ``break_request`` makes a fault
  by its name, and ``request_names`` lists the names.

Draws give no coverage: to make every mistake, test each name.
"""

from __future__ import annotations

from ._messages import messages
from ._mutations import Mutation, mutate, mutation_names, mutations
from ._requests import BrokenRequest, break_request, http_requests, request_names

__all__ = [
    "BrokenRequest",
    "Mutation",
    "break_request",
    "http_requests",
    "messages",
    "mutate",
    "mutation_names",
    "mutations",
    "request_names",
]
