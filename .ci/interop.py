#!/usr/bin/env python3
"""The interop check: other people's clients against our broker, and our clients against another broker.

Runs the cells, several at a time since most of their time is waiting, and prints a table of them. Exits with status 1
if any of them failed.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from mqtt_interop import mosquitto_cells, own_client_cells, paho_cells
from mqtt_interop.broker import Broker, BrokerLite, Mosquitto
from mqtt_interop.case import Case, InteropError, Outcome
from mqtt_interop.process import kill_all

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ("mosquitto", "mosquitto_sub", "mosquitto_pub", "stdbuf")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="TEXT", default="", help="only the cells whose names contain TEXT")
    parser.add_argument("--jobs", metavar="N", type=int, default=6, help="cells that run at the same time")
    parser.add_argument("--skip-clients", action="store_true", help="leave out the cells of our own clients")
    # The control: with another broker in the place of ours, a failing cell is the check's own fault.
    parser.add_argument("--broker", choices=("lite", "mosquitto"), default="lite", help=argparse.SUPPRESS)
    return parser.parse_args()


def attempt(case: Case) -> tuple[Case, Outcome, float]:
    """Runs a case; whatever goes wrong in it is its outcome."""
    start = time.monotonic()
    try:
        outcome = case.run()
    except Exception as error:
        what = str(error) if isinstance(error, InteropError) else repr(error)
        outcome = Outcome(expected="-", received=0, faults=[what])
    return case, outcome, time.monotonic() - start


def print_table(results: Sequence[tuple[Case, Outcome, float]]) -> None:
    width = max(len(case.name) for case, _, _ in results)
    print(f"{'cell':<{width}}  expected  received  duplicates  seconds  ok")
    for case, outcome, seconds in results:
        verdict = "no" if outcome.faults else "yes"
        print(
            f"{case.name:<{width}}  {outcome.expected:>8}  {outcome.received:>8}  {outcome.duplicates:>10}"
            f"  {seconds:>7.1f}  {verdict}"
        )
        for fault in outcome.faults:
            print(f"    {fault}")


def stop(broker: Broker) -> Outcome:
    """SIGTERM ends the broker under test with status 0, after all that was done to it."""
    broker.stop()
    return Outcome(expected="0", received=0)


def run_cells(options: argparse.Namespace, release: Path) -> list[tuple[Case, Outcome, float]]:
    with ExitStack() as stack:
        ours = stack.enter_context(
            Mosquitto() if options.broker == "mosquitto" else BrokerLite(release / "mqtt-broker-lite")
        )
        cases = [*mosquitto_cells.cases(ours), *paho_cells.cases(ours)]
        if not options.skip_clients:
            reference = stack.enter_context(Mosquitto())
            cases += own_client_cells.cases(reference, release / "examples")
        cases = [case for case in cases if options.only in case.name]
        if not cases:
            raise InteropError(f"no cell's name contains '{options.only}'")
        with ThreadPoolExecutor(options.jobs) as pool:
            try:
                results = list(pool.map(attempt, cases))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                kill_all()
                raise
        return [*results, attempt(Case("broker stops on SIGTERM", partial(stop, ours)))]


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)} (.ci/interop installs what the check needs)")

    release = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "release")
    start = time.monotonic()
    try:
        results = run_cells(options, release)
    except InteropError as error:
        sys.exit(str(error))
    seconds = time.monotonic() - start

    print_table(results)
    failed = sum(bool(outcome.faults) for _, outcome, _ in results)
    print(f"\n{len(results)} cells in {seconds:.0f} s")
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
