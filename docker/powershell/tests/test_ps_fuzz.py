"""Malformed requests, generated: each is refused with a reason or answered, and the service lives on."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from psfuzz import ask, fault, request
from psserver import TOKEN, Service


def test_malformed_requests_are_refused_with_a_reason(service: Service) -> None:
    """Bodies, paths, headers and framings of 600 kinds: no 5xx, no stack, no injected header, and a log that says of no failure."""
    random_ = random.Random(20261122)
    requests = [request(random_, TOKEN) for _ in range(600)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda sent: ask(("127.0.0.1", service.port), sent), requests))
    verdicts = [fault(sent, answer) for sent, answer in zip(requests, answers, strict=True)]
    faults = [
        (why, sent[:400], answer[:400])
        for (_, why), sent, answer in zip(verdicts, requests, answers, strict=True)
        if why
    ]
    assert faults == []
    statuses = Counter(status for status, _ in verdicts)
    assert {200, 400, 403, 404, 405, 413} <= statuses.keys(), statuses
    assert service.request("GET", "/health").status_code == 200
    assert service.events("request_failed") == []
