"""The malformed requests of psfuzz.py for as long as one likes, against any running service.

usage: fuzz.py HOST:PORT TOKEN_FILE [--seconds 300] [--clients 8] [--seed N]      exit 1 when an answer was wrong
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from psfuzz import ask, fault, request


def client(
    address: tuple[str, int], token: str, seed: int, until: float
) -> tuple[Counter[int], list[tuple[str, bytes, bytes]]]:
    """One client's statuses and the answers that were wrong."""
    random_ = random.Random(seed)
    statuses: Counter[int] = Counter()
    faults = []
    while time.monotonic() < until:
        sent = request(random_, token)
        answer = ask(address, sent)
        status, why = fault(sent, answer)
        statuses[status] += 1
        if why:
            faults.append((why, sent[:300], answer[:300]))
    return statuses, faults


def main() -> int:
    """Print the counts by status (0: the connection ended without an answer) and each wrong answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("token_file", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    given = parser.parse_args()
    host, port = given.address.split(":")
    token = given.token_file.read_text().split()[0]
    until = time.monotonic() + given.seconds
    with ThreadPoolExecutor(given.clients) as pool:
        futures = [pool.submit(client, (host, int(port)), token, given.seed + n, until) for n in range(given.clients)]
        results = [future.result() for future in futures]
    statuses = sum((one for one, _ in results), Counter[int]())
    faults = [one for _, found in results for one in found]
    print(f"seed {given.seed}: {statuses.total()} requests, {dict(sorted(statuses.items()))}, {len(faults)} wrong")
    for one in faults[:20]:
        print(*one)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
