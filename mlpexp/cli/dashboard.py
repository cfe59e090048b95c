"""`mlpexp dashboard`: TensorBoard on the runs below a directory, until Ctrl-C."""

from __future__ import annotations

import errno
import io
import os
import signal
import socket
import time
from contextlib import redirect_stderr
from pathlib import Path

from mlpexp.cli.arguments import Parser
from mlpexp.errors import ConfigError, MlpexpError


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp dashboard", description=__doc__.split(": ", 1)[1])
    parser.add_argument("directory", nargs="?", default="outputs", metavar="DIR", help="default: outputs")
    parser.add_argument("--port", type=int, help="default: 6006, or the next that is free")
    parser.add_argument("--host", default="localhost", help="default: localhost; 0.0.0.0 serves the network")
    args = parser.parse_args(arguments)
    _check_address(args.host, args.port)
    directory = Path(args.directory)
    if not directory.is_dir():
        raise ConfigError(f"{directory}: there is no such directory; `mlpexp train` makes outputs/ in the current one.")

    # TensorBoard looks for TensorFlow first, at a cost of seconds where it is installed.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from rich.text import Text
    from tensorboard import program

    from mlpexp.cli.console import console

    board = program.TensorBoard()
    options = ["--logdir", str(directory), "--host", args.host, "--reload_interval", "5"]
    if args.port is not None:
        options += ["--port", str(args.port)]
    board.configure(argv=["tensorboard", *options])
    try:
        # TensorBoard recommends its option --load_fast, which mlpexp dashboard does not have.
        with redirect_stderr(io.StringIO()):
            address = board.launch()
    except (program.TensorBoardServerException, OSError) as error:
        raise MlpexpError(f"TensorBoard did not start: {error}") from None
    console().print(Text(f"TensorBoard on {directory}: {address} (Ctrl-C ends it)"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return 0


def _check_address(host: str, port: int | None) -> None:
    """ConfigError, in one line in place of TensorBoard's several, where it cannot serve at this address."""
    if port is not None and not 0 <= port <= 65535:
        raise ConfigError(f"--port={port}: must be from 0 (any that is free) to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigError(f"--host={host}: is no address of this machine: {error.strerror}.") from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(f"--port={port}: is in use; without --port the next free one is taken.") from None
            raise ConfigError(f"--host={host}, --port={port}: cannot be served: {error.strerror}.") from None
