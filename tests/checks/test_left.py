"""What programs of tests leave behind is ended, removed and told, whichever way they
end: scenes of the harness of tests/e2e, of run_c_tests.py and of left.py itself."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
# A worker in a session of its own, which says its number: below its parent, or as a
# daemon without one.
WORKER = "setsid sh -c 'echo worker $$; exec sleep 600' & exec sleep 600"
DAEMON = "(setsid sh -c 'echo worker $$; exec sleep 600' &)"
SCENE = f"""
import signal, sys, tempfile
sys.path.insert(0, {str(HERE.parent / 'e2e')!r})
from harness import Program, Skip, read_line, run

def start(script):
    program = Program("sh", "-c", script)
    print("#", read_line(program.process.stdout), end="", flush=True)
    return program

def test_a_scene():
    {{body}}

sys.argv = [sys.argv[0]]
run(globals())
"""
# Of each scene of the harness its body, its status, and what is told.
SCENES = {
    "a_block_ends": (f"with start({WORKER!r}): pass", 0, "ok 1"),
    "a_worker_is_killed": (f"with start({WORKER!r}) as server: server.kill()", 0, "ok 1"),
    "a_daemon_stays": (f"with start({DAEMON!r}): pass", 1, "left behind: process"),
    "a_test_fails": (f"start({WORKER!r}); start({DAEMON!r}); assert False", 1, "not ok 1"),
    "a_test_is_skipped": (f"start({WORKER!r}); raise Skip('here')", 0, "SKIP here"),
    "a_file_stays": ("tempfile.mkstemp(prefix='kept')", 1, "left behind: file kept"),
    "it_is_interrupted": (f"start({WORKER!r}); start({DAEMON!r}); tempfile.mkdtemp(); "
                          "print('now', flush=True); signal.pause()", 143, "now"),
}


class Left(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = pathlib.Path(place.name)
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()

    def run_to_end(self, *command):
        """The status, and what it said; nothing of it is there any more."""
        said = ""
        with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, env=dict(
                os.environ, TMPDIR=str(self.scratch), WEIR_GRACE_S="0")) as program:
            for line in program.stdout:
                said += line
                if line == "now\n":
                    program.send_signal(signal.SIGTERM)
        for line in said.splitlines():
            if " worker " in f" {line}":
                self.assertFalse(os.path.exists(f"/proc/{line.split()[-1]}"), said)
        self.assertEqual(list(self.scratch.iterdir()), [])
        return program.returncode, said

    def test_the_harness(self):
        for name, (body, status, word) in SCENES.items():
            with self.subTest(name):
                path = self.folder / "scene.py"
                path.write_text(SCENE.replace("{body}", body))
                found, said = self.run_to_end(sys.executable, str(path))
                self.assertEqual(found, status, said)
                self.assertIn(word, said)

    def test_a_program_of_tests_in_c(self):
        (self.folder / "scene.c").write_text("UNIT(a, b)\n")
        program = self.folder / "scene"
        program.write_text(f"#!/bin/sh\n{WORKER.split('&', maxsplit=1)[0]}>&2 &\necho ok 1\n"
                           "echo >$TMPDIR/kept\n")
        program.chmod(0o755)
        found, said = self.run_to_end(sys.executable, str(HERE / "run_c_tests.py"),
                                      str(self.folder / "scene.c"), str(program))
        self.assertEqual(found, 1, said)
        self.assertIn("left behind: file kept", said)

    def test_a_command(self):
        left = f"{sys.executable} {HERE / 'left.py'}"
        found, said = self.run_to_end(*left.split(), "sh", "-c", f"{left} || echo early")
        self.assertEqual((found, said), (0, ""))


unittest.main()
