"""The command `mlpexp`: calls the sub-command that its first word names, and prints errors in single lines."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from importlib.metadata import version

from mlpexp.cli.streams import columns, folded, lost_output, make_lasting
from mlpexp.engine.heap import keep_freed_memory
from mlpexp.errors import MlpexpError, refusal, unknown

# Each sub-command is a module of this package with `run(arguments) -> exit code`. None is imported before it
# is called for, so that help and lists answer at once.
COMMANDS = {
    "train": "train a run, or a sweep of runs with -m: mlpexp train activation=gelu optimizer=adamw",
    "eval": "evaluate a run's best checkpoint on the test split: mlpexp eval RUN",
    "predict": "predict the rows of a file with a run: mlpexp predict RUN FILE",
    "export": "write a run as a model for torch.export or ONNX: mlpexp export RUN --format onnx|torch",
    "resume": "continue a run or a sweep where it stopped: mlpexp resume RUN_OR_SWEEP",
    "extend": "train more seeds or values of a sweep: mlpexp extend SWEEP seed=range(10,20)",
    "compare": "compare runs over seeds, with tests and figures: mlpexp compare RUN_OR_SWEEP ...",
    "report": "put runs and sweeps on a page for a browser: mlpexp report RUN_OR_SWEEP ...",
    "notebook": "run every experiment, and write one page of them all: mlpexp notebook",
    "look": "show what a table holds, and its issues: mlpexp look FILE [--target NAME]",
    "lr-find": "suggest learning rates: mlpexp lr-find dataset=digits optimizer=sgd",
    "plot": "draw figures that need no run: mlpexp plot activations|optimizers|schedulers|dataset",
    "list": "what there is to choose from, and what each key means: mlpexp list [GROUP [NAME]]",
    "dashboard": "start TensorBoard: mlpexp dashboard [DIR]",
    "completion": "print what makes bash, zsh or fish complete command lines: mlpexp completion SHELL",
}
MODULES = {"eval": "evaluate", "list": "listing", "lr-find": "lr_find"}

_HELP = """\
mlpexp - what a training choice does to a multilayer perceptron.

Usage: mlpexp COMMAND [ARGUMENT ...]

{commands}

  mlpexp COMMAND --help    says more of a command
  mlpexp --version         prints the version

First steps:
  mlpexp train
  mlpexp train dataset=moons activation=tanh model.hidden=[16,16]
  mlpexp train -m activation=relu,gelu,tanh seed=0,1,2
  mlpexp compare outputs/multirun
  mlpexp dashboard
"""


def main() -> None:
    """Entry point: runs the command line and exits with its code (0 done, 1 run failed, 2 command wrong)."""
    # Imports make some 400,000 objects that stay. Python would look through them for garbage after every few hundred
    # more, and once again before it exits: together that took a fifth of the time of a short run.
    gc.set_threshold(50_000, 5, 5)
    # libgomp reads it when torch loads it; processes that this one starts inherit it. Threads that wait for one another
    # spin 300,000 times by default: where other programs run on the machine, that takes time from the thread that they
    # wait for. A stack of three on MNIST then took 1.7 times as long as on one thread. With 1,000 it
    # took 1.6 times as long where nothing else ran (benchmarks/busy.py).
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = "30000"
    keep_freed_memory()
    make_lasting()
    code: int | str | None
    try:
        code = call(sys.argv[1:])
    except SystemExit as ended:
        # argparse exits so after it has shown its help.
        code = ended.code
    if (lost := lost_output()) is not None:
        report(f"standard output: cannot be written: {lost}.")
        code = code or 1
    gc.freeze()
    sys.exit(code)


def call(arguments: list[str]) -> int:
    """Runs a command line and returns its exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        if arguments[1:] and arguments[0] == "help":
            return call([*arguments[1:], "--help"])
        width = columns(sys.stdout)
        lines = [folded(f"  {name:<12}{what}", width, " " * 14) for name, what in COMMANDS.items()]
        print(folded(_HELP, width).format(commands="\n".join(lines)), end="")
        return 0
    if arguments[0] == "--version":
        print(f"mlpexp {version('mlpexp')}")
        return 0
    command, *rest = arguments
    if command not in COMMANDS:
        hint = f" Did you mean: mlpexp train {' '.join(arguments)}" if "=" in command else ""
        report(f"{unknown(f'{command}: no such command', command, COMMANDS)}{hint}")
        return 2
    try:
        module = importlib.import_module(f"mlpexp.cli.{MODULES.get(command, command)}")
        code: int = module.run(rest)
        return code
    except MlpexpError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        for line in error.lines:
            report(line)
        return error.exit_code
    except OSError as error:
        # Such as a directory without permission, or a name that is too long, in any place that reads a path.
        if error.filename is None or os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        report(f"{os.fsdecode(error.filename)}: {error.strerror}.")
        return refusal(error).exit_code
    except MemoryError:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        report("this needs more memory than the machine has.")
        return 1
    except Exception as error:
        if (fault := _users_fault(error)) is None:
            raise
        report(fault)
        return 1
    except KeyboardInterrupt:
        report("interrupted")
        return 130


def _users_fault(error: Exception) -> str | None:
    """A line on an error that came from a component of the user's own; None for others, and with HYDRA_FULL_ERROR=1."""
    from mlpexp.config.user_code import explained
    from mlpexp.errors import RunError

    told = explained(error, RunError)
    return None if told is error or os.environ.get("HYDRA_FULL_ERROR") == "1" else str(told)


def report(line: str) -> None:
    """Prints an error on stderr: one line, which a terminal shows broken at words."""
    print(folded(f"mlpexp: {one_line(line)}", columns(sys.stderr)), file=sys.stderr)


def one_line(text: str) -> str:
    """A message without line breaks and control characters, which a value in it may contain."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
