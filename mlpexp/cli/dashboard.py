"""`mlpexp dashboard`: TensorBoard on the runs below a directory, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from mlpexp.cli.arguments import Parser
from mlpexp.errors import ConfigError, MlpexpError


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp dashboard", description=__doc__.split(": ", 1)[1])
    parser.add_argument("directory", nargs="?", default="outputs", metavar="DIR", help="default: outputs")
    parser.add_argument("--port", type=int, help="default: 6006, or the next that is free")
    parser.add_argument("--host", default="localhost", help="default: localhost; 0.0.0.0 serves the network")
    args = parser.parse_args(arguments)
    directory = Path(args.directory)
    if not directory.is_dir():
        raise ConfigError(f"{directory}: there is no such directory; `mlpexp train` makes outputs/ in the current one.")

    # TensorBoard looks for TensorFlow first, at a cost of seconds where it is installed.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tensorboard import program

    board = program.TensorBoard()
    options = ["--logdir", str(directory), "--host", args.host, "--reload_interval", "5"]
    if args.port is not None:
        options += ["--port", str(args.port)]
    board.configure(argv=["tensorboard", *options])
    try:
        address = board.launch()
    except (program.TensorBoardServerException, SystemExit) as error:
        raise MlpexpError(f"TensorBoard did not start: {error}") from None
    print(f"TensorBoard on {directory}: {address} (Ctrl-C ends it)", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return 0
