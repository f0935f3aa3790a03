"""Shell completions, requested as by a user: from the shell itself.

bash is asked for words; zsh and fish, if they are installed, must read the script
without errors, and fish is asked, too.
"""

import os
import shutil
import tempfile

from harness import WEIR_LOAD, Skip, command, equal, matches
from harness import run as run_tests

PROXY = os.environ.get("WEIR_PROXY", "")

# The line with its last, unfinished word, and its possible completions.
LINES = (
    ("a", ["ab", "as"]),
    ("as --dur", ["--duration"]),
    ("s", ["search", "serve", "sweep"]),
    ("--dur", ["--duration"]),
    ("--mode st", ["stream"]),
    ("--mode=st", ["stream"]),
    ("--direction=", ["both", "down", "up"]),
    ("serve --mode=di", ["discard"]),
    ("--cacert --fi", []),
    ("run --engine ", ["auto", "poll", "uring"]),
    ("serve --gr", ["--grace", "--groups"]),
    ("serve --mode di", ["discard"]),
    ("ab --ma", ["--margin", "--markdown", "--max-errors", "--max-frame",
                 "--max-inflight"]),
    ("ab --metric p", ["p50", "p90", "p99", "p99.9"]),
    ("compare --conn", []),
    ("-c 5", []),
)


def script(program, shell):
    outcome = command(program, "--completion", shell)
    equal((outcome.status, outcome.err), (0, ""), f"{program} for {shell}")
    return outcome.out


def split_equals(text):
    """Splits the last word like bash."""
    head, equals, tail = text.partition("=")
    return f"{head} ={' ' if tail else ''}{tail}" if equals else text


def ask_bash(program, text, breaks=True):
    """Returns the completions that bash offers for the last word of the line; with
    @breaks a '=' is a separate word."""
    name = os.path.basename(program)
    words = [name, *(split_equals(text) if breaks else text).split(" ")]
    asked = (f"{script(program, 'bash')}\nCOMP_WORDS=(\"$@\")\n"
             f"COMP_CWORD=$(($# - 1))\n_{name.replace('-', '_')}\n"
             "printf '%s\\n' \"${COMPREPLY[@]}\"")
    outcome = command("bash", "-c", asked, "bash", *words)
    equal((outcome.status, outcome.err), (0, ""), f"bash with {text!r}")
    return sorted(outcome.out.split())


def test_bash_completes_commands_options_and_choices():
    for text, wanted in LINES:
        equal(ask_bash(WEIR_LOAD, text), wanted, f"words after {text!r}")
    equal(ask_bash(WEIR_LOAD, "--mode=st", breaks=False), ["--mode=stream"],
          "where a '=' is no word of its own")
    if PROXY:
        equal(ask_bash(PROXY, "tcp://:1 --check t"), ["tcp", "text", "tls"],
              "kinds of checks")
        equal(ask_bash(PROXY, "tcp://:1 --balance r"),
              ["random", "roundrobin"], "words of the proxy")
        equal(ask_bash(PROXY, "--handov"), ["--handover"], "its options")


def test_zsh_and_fish_can_read_their_scripts():
    missing = []
    for shell in ("zsh", "fish"):
        if not shutil.which(shell):
            missing.append(shell)
            continue
        for program in filter(None, (WEIR_LOAD, PROXY)):
            with tempfile.NamedTemporaryFile("w", suffix=shell) as file:
                file.write(script(program, shell))
                file.flush()
                outcome = command(shell, "-n", file.name)
            equal((outcome.status, outcome.out, outcome.err), (0, "", ""),
                  f"{shell} -n")
    if missing:
        raise Skip(f"{' and '.join(missing)} not installed")


def test_fish_completes_as_bash_does():
    if not shutil.which("fish"):
        raise Skip("fish is not installed")
    for text, wanted in (("--dur", ["--duration"]),
                         ("serve --gr", ["--grace", "--groups"]),
                         ("--engine a", ["auto"])):
        asked = f"{script(WEIR_LOAD, 'fish')}\ncomplete -C $argv[1]"
        outcome = command("fish", "-c", asked, f"weir-load {text}")
        found = sorted(line.split("\t")[0]
                       for line in outcome.out.splitlines())
        equal(found, wanted, f"words after {text!r}")


def test_other_shells_are_a_mistake():
    for program in filter(None, (WEIR_LOAD, PROXY)):
        for words in (["ksh"], []):
            outcome = command(program, "--completion", *words)
            equal((outcome.status, outcome.out), (2, ""), "the outcome")
            matches(outcome.err, r"\A\S+: --completion needs a shell: "
                    r"bash, zsh or fish\n\Z")


run_tests(globals())
