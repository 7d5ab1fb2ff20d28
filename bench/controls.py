"""Runs the negative controls of the tests with five seeds: each fails the same rules with every seed.

A rule that finds a mistake with some seeds alone finds it by luck. Arguments select controls by a part of
their names.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from _measure import judge

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support import broken_receivers, small_receivers, templated_receivers
from tests.support.good_receivers import serve_mailing
from tests.support.limited_receivers import LIMITED
from tests.support.mail_server_receivers import FAILING
from tests.support.mistaken_receivers import MISTAKEN
from tests.support.runs import has_failed, try_rules

from logto_mail_contract.receivers.outbox import SmtpSink
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.suite.checks import list_rule_ids

SEEDS = range(5)
PARALLEL_RUNS = 2
SETTINGS = Settings(examples=10, warn_after=1, fail_after=2)
SMALL = {make.__name__: make for make, _ in small_receivers.MISTAKES}
OVER_SMTP = {**MISTAKEN, **{name: make for name, (make, _) in FAILING.items()}}
NAMES = [
    *(f"broken/{name}" for name in broken_receivers.CONTROLS),
    *(f"limited/{name}" for name in LIMITED),
    *(f"small/{name}" for name in SMALL),
    *(f"templated/{name}" for name in templated_receivers.MISTAKES),
    *(f"smtp/{name}" for name in OVER_SMTP),
]
# These send whatever there is: they may fail by luck, and must find no mistake alone.
DRAWN = {"receiver/accept/generated", "receiver/accept/older-revisions"}
# Their own controls.
FOUND_BY_DRAWN = {
    f"broken/{name}"
    for name, control in broken_receivers.CONTROLS.items()
    if {f"receiver/{rule}" for rule in control.failed_rules} <= DRAWN
}


def list_failed(name: str, seed: int) -> frozenset[str]:
    """Return the rules that a control fails in a whole run, without those that draw their messages."""
    kind, _, key = name.partition("/")
    settings, outbox = replace(SETTINGS, seed=seed), None
    token = broken_receivers.TOKEN
    with ExitStack() as stack:
        if kind == "broken":
            receiver, served = broken_receivers.make_receiver(key)
            if served is not None:
                stack.enter_context(served)
            settings = replace(broken_receivers.CONTROLS[key].settings, seed=seed)
        elif kind == "limited":
            served = stack.enter_context(broken_receivers.Served(LIMITED[key]()))
            receiver = Receiver.url(served.url, authorization=token)
        elif kind == "small":
            small = SMALL[key]()
            receiver = Receiver.wsgi(small, authorization=small_receivers.AUTHORIZATION)
            outbox = small.mails.copy
            if key == "SharesTheMessage":
                # Which messages meet is left to time: with one worker, only those of the burst do.
                settings = replace(settings, workers=1)
        elif kind == "templated":
            templated = templated_receivers.MISTAKES[key][0]()
            receiver = Receiver.wsgi(broken_receivers.wsgi(templated), authorization=token)
            outbox = templated.mails.copy
        else:
            outbox = stack.enter_context(SmtpSink())
            url = stack.enter_context(serve_mailing(OVER_SMTP[key], outbox.port))
            receiver = Receiver.url(url, authorization=token)
        stack.enter_context(closing(receiver))
        results = try_rules(list_rule_ids("receiver"), receiver, settings, outbox)
    return frozenset(result.rule.id for result in results if has_failed(result)) - DRAWN


def main() -> None:
    wanted = sys.argv[1:] or [""]
    trials = [(name, seed) for name in NAMES if any(part in name for part in wanted) for seed in SEEDS]
    found: dict[str, list[frozenset[str]]] = {}
    # The runs mostly wait.
    with ProcessPoolExecutor(PARALLEL_RUNS) as pool:
        for (name, _), failed in zip(trials, pool.map(list_failed, *zip(*trials, strict=True)), strict=True):
            found.setdefault(name, []).append(failed)
            if len(found[name]) == len(SEEDS):
                always, ever = frozenset.intersection(*found[name]), frozenset.union(*found[name])
                print(
                    name,
                    *(f"\n    with some seeds alone: {rule}" for rule in sorted(ever - always)),
                    flush=True,
                )
    judge(
        "controls that depend on the seed", sum(len(set(one)) > 1 for one in found.values()), 0, at_most=True
    )
    missed = {name for name, failed in found.items() if not all(failed)} - FOUND_BY_DRAWN
    print(*(f"found by drawn messages alone: {name}" for name in sorted(missed)), sep="\n")
    judge("controls that drawn messages alone find", len(missed), 0, at_most=True)


if __name__ == "__main__":
    main()
