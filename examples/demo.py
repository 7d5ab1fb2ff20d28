"""The main job on real input: a sender posts to the fake mail endpoint, which judges every message.

It posts one body of each template type as a real Logto v1.42.0 wrote it, then an invalid message and one
without authorization. Then it starts ``mail-contract serve``, the same endpoint on its own, and reads a code
from its inbox as an end-to-end test would. The sender is Logto's own HTTP email connector if Node is
installed, else Python code that writes the same bytes. Run it with ``make demo``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logto_mail_contract import Delivery, MailServer, catalogue, post
from logto_mail_contract.wire.outcomes import Response

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTOR = Path(__file__).parents[1] / "tests" / "logto"
AUTHORIZATION = "Bearer demo-token"


def recorded_messages() -> list[dict[str, Any]]:
    """Return one recorded message of each template type, in the order of the catalogue."""
    tests = [test for group in catalogue.load("vectors/1.35/emitted.json") for test in group["tests"]]
    recorded = [test["data"] for test in tests if test["id"].startswith("recorded-") and "data" in test]
    first = {message["type"]: message for message in reversed(recorded)}
    return [first[name] for name in catalogue.index()["revisions"][-1]["templateTypes"]]


def send_with_connector(jobs: list[dict[str, Any]]) -> list[str]:
    """Send with the real connector and return its result for each message."""
    run = subprocess.run(  # noqa: S603 - the project's own script, with the Node that PATH has
        [shutil.which("node") or "node", str(CONNECTOR / "connector.mjs")],
        input="".join(json.dumps(job) + "\n" for job in jobs),
        capture_output=True,
        text=True,
        check=True,
    )
    results = [json.loads(line) for line in run.stdout.splitlines()]
    return ["sent" if result["ok"] else f"ConnectorError {result['code']}" for result in results]


def send_with_python(jobs: list[dict[str, Any]]) -> list[str]:
    """Send the bytes that the connector would send and return the statuses."""
    outcomes = [post(job["endpoint"], job["message"], job.get("authorization")) for job in jobs]
    return [f"HTTP {one.status}" if isinstance(one, Response) else one.problem for one in outcomes]


def print_delivery(delivery: Delivery, result: str) -> None:
    """Print one delivery with its findings, and the sender's result."""
    message = delivery.message
    variables = ", ".join(message.payload) or "none"
    print(f"{delivery.number:>3}  {delivery.status}  {message.type:<25} to {message.to}")
    print(f"          variables: {variables}; the sender reports: {result}")
    for finding in delivery.findings:
        for line in str(finding).splitlines():
            print(f"          {line}")


def read_code(send: Callable[[list[dict[str, Any]]], list[str]]) -> str:
    """Send one message to ``mail-contract serve`` and return the code in its inbox."""
    message = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137", "locale": "en"}}
    command = [sys.executable, "-m", "logto_mail_contract.commands.main", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own command
        try:
            assert server.stdout is not None
            url = next((line.split()[-1] for line in server.stdout if "endpoint for" in line), None)
            if url is None:
                sys.exit("mail-contract serve did not start")
            print(f"\nThe same endpoint on its own, mail-contract serve, at {url}; a test reads the code:")
            send([{"message": message, "endpoint": url}])
            latest = f"{url}api/messages/latest?to=foo@example.com&type=SignIn&wait=10"
            with urllib.request.urlopen(latest, timeout=15) as response:  # noqa: S310 - an http URL of this machine
                code = str(json.load(response)["code"])
            print(f"  GET {latest}\n  code: {code}")
        finally:
            server.terminate()
            # Read to the end: serve says so when its output cannot be written.
            server.communicate()
    return code


def main() -> int:
    """Run the demo and return 0 if only the two invalid requests were refused and the inbox has the code."""
    node = shutil.which("node") is not None and (CONNECTOR / "node_modules").is_dir()
    if node:
        package = json.loads((CONNECTOR / "package.json").read_text(encoding="utf-8"))
        version = package["dependencies"]["@logto/connector-http-email"]
        print(f"Sender: the real @logto/connector-http-email {version}, on Node.")
    else:
        print("Sender: Python code that writes the connector's bytes; no Node or tests/logto/node_modules.")
    with MailServer() as server:
        endpoint = server.endpoint(authorization=AUTHORIZATION, lenient=True)
        print(
            f"Endpoint: the fake mail endpoint at {endpoint.url}, revision {endpoint.revision}, "
            f"layer {endpoint.layer}, authorization required.\n"
        )
        messages = recorded_messages()
        invalid = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": 12345, "locale": "en"}}
        jobs = [
            {"message": message, "endpoint": endpoint.url, "authorization": AUTHORIZATION}
            for message in [*messages, invalid]
        ]
        jobs.append({"message": messages[0], "endpoint": endpoint.url})
        send = send_with_connector if node else send_with_python
        results = send(jobs)
        deliveries = list(endpoint.inbox)
        for delivery, result in zip(deliveries, results, strict=True):
            if delivery.number == len(messages) + 1:
                print(
                    "\nThe next two are invalid on purpose: a code that is a number, and no authorization.\n"
                )
            print_delivery(delivery, result)
    valid = sum(not delivery.violations for delivery in deliveries)
    print(f"\n{len(deliveries)} deliveries: {valid} valid, {len(deliveries) - valid} invalid.")
    refused = [delivery.status for delivery in deliveries] == [200] * len(messages) + [400, 401]
    return 0 if read_code(send) == "042137" and refused else 1


if __name__ == "__main__":
    sys.exit(main())
