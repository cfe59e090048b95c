"""`python -m replay BASE`: exit code 0 where all that differs is named by a commit, 1 where something is not."""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from replay import __doc__ as about
from replay.cases import Case, cases, groups_of, missing
from replay.compare import differences, named_since, summary
from replay.execute import run_all
from replay.outcome import KINDS
from replay.trees import PLACE, ROOT, checkout, installed, prepare


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m replay", description=about)
    parser.add_argument("base", metavar="BASE", help="the commit to compare with")
    parser.add_argument("--strict", action="store_true", help="exit code 1 for any difference, named or not")
    parser.add_argument("--all", action="store_true", help="whole diffs, not the first 30 lines of each")
    parser.add_argument("--only", metavar="CASE", nargs="+", help="these cases only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="cases at a time")
    args = parser.parse_args()
    groups = groups_of(ROOT / "conf")
    chosen = cases(groups)
    if lacking := missing(groups, chosen):
        print(f"replay/cases.py: no case chooses {', '.join(lacking)}", file=sys.stderr)
        return 2
    if args.only is not None:
        if unknown := set(args.only) - {case.name for case in chosen}:
            print(f"--only: no case {', '.join(unknown)}: {', '.join(case.name for case in chosen)}", file=sys.stderr)
            return 2
        chosen = [case for case in chosen if case.name in args.only]
    known = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"{args.base}^{{commit}}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if known.returncode != 0:
        print(f"{args.base}: no such commit", file=sys.stderr)
        return 2
    base = known.stdout.strip()
    PLACE.mkdir(exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("another replay is at work in this checkout", file=sys.stderr)
            return 2
        return _replay(args, base, chosen)


def _replay(args: argparse.Namespace, base: str, chosen: list[Case]) -> int:
    before, now = _base(base, chosen, args.only, args.jobs), PLACE / "results" / "now"
    _timed("this checkout", ROOT, chosen, now, args.jobs)
    found = differences(before, now, None if args.all else 30)
    for kind in KINDS:
        for name, lines in found[kind].items():
            print(f"\n--- {kind} of {name}, {args.base}\n+++ {kind} of {name}, this checkout")
            print("\n".join(lines))
    lines, fine = summary(found, named_since(base))
    print("\n" + "\n".join(lines))
    return 0 if fine and not (args.strict and any(found.values())) else 1


def _base(commit: str, chosen: list[Case], only: list[str] | None, n_jobs: int) -> Path:
    """The results of a commit, from an earlier call where there was one."""
    key = "-".join([commit, installed(), *sorted(only or [])])
    results = PLACE / "results" / key
    if (results / "complete").exists():
        print(f"{commit[:12]}: as before, from {results.relative_to(ROOT)}")
    else:
        _timed(commit[:12], checkout(commit), chosen, results, n_jobs)
    return results


def _timed(name: str, root: Path, chosen: list[Case], results: Path, n_jobs: int) -> None:
    began = time.monotonic()
    tree = prepare(root)
    run_all(tree, chosen, results, n_jobs)
    print(
        f"{name}: {len(chosen)} cases, {sum(len(case.commands) for case in chosen)} commands in "
        f"{time.monotonic() - began:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
