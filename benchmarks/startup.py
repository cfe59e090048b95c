"""How long mlpexp takes to answer and to start, as whole processes against a bare `import torch`.

    python benchmarks/startup.py [--runs 7]

Commands take turns, so that a change of the machine's speed meets all alike; medians are printed. The package is
compiled to bytecode first, as pip does when it installs a wheel.
"""

from __future__ import annotations

import argparse
import compileall
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlpexp

COMMANDS = {
    'python -c "import torch"': ["-c", "import torch"],
    "mlpexp --help": ["-m", "mlpexp", "--help"],
    "mlpexp list": ["-m", "mlpexp", "list"],
    "mlpexp train dataset=xor epochs=1": ["-m", "mlpexp", "train", "dataset=xor", "epochs=1"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=7, help="how often each command is timed")
    args = parser.parse_args()
    compileall.compile_dir(Path(mlpexp.__file__).parent, quiet=1)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as directory:
        for turn in range(args.runs + 1):
            for name, arguments in COMMANDS.items():
                began = time.perf_counter()
                subprocess.run([sys.executable, *arguments], cwd=directory, check=True, capture_output=True)
                if turn:  # the first turn fills the disk's cache
                    times[name].append(time.perf_counter() - began)
    torch_alone, *_, train = times.values()
    for name, measured in times.items():
        print(f"{statistics.median(measured):6.2f} s  {name}")
    extra = statistics.median(whole - alone for whole, alone in zip(train, torch_alone, strict=True))
    print(f"{extra:6.2f} s  the last beyond the first")


if __name__ == "__main__":
    main()
