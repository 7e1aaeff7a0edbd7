"""Runs Python programs as processes forked from one that has TensorFlow imported.

Importing TensorFlow takes a process five seconds, longer than most programs of the tests then run.
Here a server imports it once and forks for each program, which has its own arguments, folder,
environment, output, signals and exit status, and ends as any Python does:

    done = forked_python.run([sys.executable, "run_scripts/fill_mask.py", "--help"])
    done.returncode, done.stdout, done.stderr

Two things differ from a fresh process: the imported modules are TensorFlow's, and all programs have
one seed of the hashes of strings. So some tests of each script start a fresh one (`fresh=True`).
With BERT_TF_FRESH_PROCESSES=1 all do.
"""

import functools
import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path


def run(
    command: Sequence[str | Path],
    *,
    input: str = "",
    cwd: str | Path | None = None,
    env: dict[str, str] | None = None,
    timeout: float = 600,
    check: bool = False,
    fresh: bool = False,
) -> subprocess.CompletedProcess:
    """Runs a program to its end, as `subprocess.run` does with text and captured output.

    Args:
        command: of this Python: `[sys.executable, program or "-c", ...]`.
        timeout: seconds.
        fresh: whether the process starts anew rather than as a fork.
    """
    command = [str(part) for part in command]
    with _file() as stdin, _file() as stdout, _file() as stderr:
        stdin.write(input)
        stdin.flush()
        stdin.seek(0)
        files = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        process = start(command, **files, cwd=cwd, env=env, fresh=fresh)
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        done = subprocess.CompletedProcess(command, code, _text(stdout), _text(stderr))
    if check:
        done.check_returncode()
    return done


def start(command, *, stdin=None, stdout=None, stderr=None, cwd=None, env=None, fresh=False):
    """Starts a program whose output goes to files, as `subprocess.Popen` does."""
    command = [str(part) for part in command]
    assert command[0] == sys.executable, command
    if fresh or os.environ.get("BERT_TF_FRESH_PROCESSES"):
        nothing = subprocess.DEVNULL
        files = {
            "stdin": stdin or nothing,
            "stdout": stdout or nothing,
            "stderr": stderr or nothing,
        }
        return subprocess.Popen(command, **files, cwd=cwd, env=env)
    return ForkedProcess(command, stdin, stdout, stderr, cwd, env)


class ForkedProcess:
    """A process of the server's; what a `subprocess.Popen` can do, as far as tests need it."""

    def __init__(self, command, stdin, stdout, stderr, cwd, env):
        self.args = command
        self.returncode = None
        self._status, status = os.pipe()
        with _file() as request, open(os.devnull, "r+b") as nothing:
            environment = dict(os.environ if env is None else env)
            json.dump([command[1:], str(cwd or os.getcwd()), environment], request)
            request.flush()
            request.seek(0)
            files = [request, stdin or nothing, stdout or nothing, stderr or nothing]
            descriptors = [*(file.fileno() for file in files), status]
            socket.send_fds(_server(), [b"+"], descriptors)
        os.close(status)
        self.pid = self._read_status()

    def _read_status(self) -> int:
        (number,) = struct.unpack("i", os.read(self._status, 4))
        return number

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.returncode = self._read_status()
            os.close(self._status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            select.select([self._status], [], [], timeout)
            if self.poll() is None:
                raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _file():
    """A file that processes append to, and that is read without a place in it."""
    return tempfile.TemporaryFile("a+", encoding="utf-8")


def _text(file) -> str:
    file.seek(0)
    return file.read()


@functools.cache
def _server() -> socket.socket:
    """Starts the server, which ends when this process does."""
    ours, theirs = socket.socketpair()
    with theirs:
        subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ},  # As the scripts have it.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return ours


def _serve(connection: socket.socket) -> list[str]:
    """Waits for requests. Returns: in a new process for each, the program and its arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        message, descriptors, *_ = socket.recv_fds(connection, 1, 5)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            connection.close()
            return _fork_program(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        while _a_child_ended():
            pass


def _a_child_ended() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] > 0
    except ChildProcessError:
        return False


def _fork_program(request: int, stdin: int, stdout: int, stderr: int, status: int) -> list[str]:
    """Forks once more; the child writes its id, and the parent, which waits, its exit status.

    Returns: in the child, its command.
    """
    child = os.fork()
    if child:
        _, state = os.waitpid(child, 0)
        os.write(status, struct.pack("i", os.waitstatus_to_exitcode(state)))
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.write(status, struct.pack("i", os.getpid()))
    os.close(status)
    for place, descriptor in enumerate((stdin, stdout, stderr)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    with open(request, encoding="utf-8") as file:
        command, folder, environment = json.load(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return command


def _run_program(command: list[str]) -> None:
    if command[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *command[2:]], ""
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(command[1], "<string>", "exec"), main.__dict__)
    else:
        sys.argv, sys.path[0] = command, os.path.dirname(os.path.abspath(command[0]))
        runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    import tensorflow_text  # noqa: F401

    gc.freeze()  # Programs end, and collect garbage, without a look at what is imported.
    with socket.socket(fileno=int(sys.argv[1])) as _connection:
        _command = _serve(_connection)
    _run_program(_command)
