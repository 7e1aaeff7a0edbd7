"""Programs of the tests that are forked from a process with TensorFlow behave as fresh ones do."""

import signal
import subprocess
import sys

import forked_python
import pytest


def run(code, *arguments, **options):
    return forked_python.run([sys.executable, "-c", code, *arguments], **options)


def test_a_program_has_its_own_arguments_folder_environment_and_input(tmp_path):
    code = "import os, sys; print(sys.argv[1:], os.getcwd(), dict(os.environ), input())"
    done = run(code, "a b", "--c", cwd=tmp_path, env={"D": "e"}, input="f\n")
    assert done.stdout == f"['a b', '--c'] {tmp_path} {{'D': 'e'}} f\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_a_script_finds_the_modules_beside_it_and_is_the_main_module(tmp_path):
    (tmp_path / "beside.py").write_text("NAME = 'beside'")
    script = tmp_path / "script.py"
    script.write_text("import sys, beside\nif __name__ == '__main__': print(beside.NAME, sys.argv)")
    done = forked_python.run([sys.executable, script, "1"])
    assert done.stdout == f"beside ['{script}', '1']\n"


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("raise ValueError('no')", 1, "ValueError: no\n"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("import atexit; atexit.register(print, 'bye')", 0, ""),
    ],
)
def test_it_ends_as_any_python_does(code, status, error):
    done = run(code)
    assert done.returncode == status
    assert done.stderr.endswith(error)
    assert done.stdout == ("bye\n" if "bye" in code else "")


def test_failures_and_long_runs_are_errors_as_those_of_subprocess():
    with pytest.raises(subprocess.CalledProcessError):
        run("raise SystemExit(1)", check=True)
    with pytest.raises(subprocess.TimeoutExpired):
        run("import time; time.sleep(60)", timeout=0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_signals_reach_it(number):
    code = "import time; time.sleep(60)"
    process = forked_python.start([sys.executable, "-c", code])
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(30) == -number == process.poll()
    process.kill()  # As after any end, of no effect.
