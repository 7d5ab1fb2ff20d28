"""Hypothesis strategies: messages of the contract, messages with one mistake, and broken requests.

A property test of a receiver draws what Logto may send, and needs no more than one line::

    from hypothesis import given
    from logto_mail_contract.strategies import messages

    @given(messages(layer="emitted"))
    def test_renders_every_mail(message):
        render(message["type"], message["payload"])

What breaks real receivers is drawn often: context that is missing, users whose fields are null, names with
markup, line breaks and bidirectional controls, codes with leading zeros, invitations without a link. Every
recipient is in a domain that is reserved for tests, where the text has a domain at all.

- ``messages`` draws what is valid in a layer.
- ``mutations`` draws a ``Mutation``, a message with one mistake that has a name; ``mutate`` makes the mistake
  of that name, and ``mutation_names`` tells all names.
- ``http_requests`` draws a ``BrokenRequest``, which is broken in one way that has a name; ``break_request``
  breaks one in the way of that name, and ``request_names`` tells all names.

Draws are no coverage: only a test that goes through all names has made every mistake.
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
