"""The steps of the GitHub Action (tools/action), run like GitHub does: with inputs in
the environment, and files for outputs and the summary.

Only tools/static tests that the action builds a program if it gets none.
"""

import os
import re
import tempfile

from formats import read_junit, read_tables
from harness import Serve, WEIR_LOAD, command, equal, matches, need, run

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "../../tools/action")
OK, USAGE, SLO = 0, 2, 99


def read_action():
    with open(f"{FOLDER}/action.yml", encoding="utf-8") as file:
        return file.read()


def step(name, folder, status=OK, **env):
    """Runs a step like GitHub. Returns what it printed, and its outputs."""
    for file in ("outputs", "summary"):
        with open(f"{folder}/{file}", "a", encoding="utf-8"):
            pass
    outcome = command(
        "bash", "-c", '"$GITHUB_ACTION_PATH/' + name + '"', cwd=folder,
        env={"PATH": os.environ["PATH"], "GITHUB_ACTION_PATH": FOLDER,
             "GITHUB_OUTPUT": f"{folder}/outputs", "RUNNER_TEMP": folder,
             "GITHUB_STEP_SUMMARY": f"{folder}/summary", **env})
    equal(outcome.status, status, f"{name}: {outcome.err}")
    with open(f"{folder}/outputs", encoding="utf-8") as file:
        return outcome, dict(line.split("=", 1) for line in
                             file.read().splitlines())


def test_each_step_of_the_action_is_a_script_with_its_inputs():
    text = read_action()
    steps = re.findall(r"run: '\"\$GITHUB_ACTION_PATH/(\w+)\"'", text)
    equal(steps, ["build", "load"], "steps")
    equal(len(re.findall(r"^ *run:", text, re.M)), 2, "other scripts")
    for name in steps:
        part = text[text.index(f"- id: {name}"):].split("- id:", 2)[1]
        given = set(re.findall(r"^ +(WEIR_\w+): \$\{\{", part, re.M))
        with open(f"{FOLDER}/{name}", encoding="utf-8") as file:
            used = set(re.findall(r"\$\{?(WEIR_\w+)", file.read()))
        equal(given, used, f"environment of {name}")
        equal(os.access(f"{FOLDER}/{name}", os.X_OK), True, name)
    with open(f"{FOLDER}/load", encoding="utf-8") as file:
        written = set(re.findall(r'echo "([\w-]+)=', file.read()))
    equal(set(re.findall(r"steps\.load\.outputs\.([\w-]+)", text)), written,
          "outputs")


def test_a_program_that_is_given_is_taken():
    with tempfile.TemporaryDirectory() as folder:
        outcome, outputs = step("build", folder, WEIR_PROGRAM=WEIR_LOAD)
    matches(outcome.out, r"^weir-load \d")
    equal(outputs, {"program": WEIR_LOAD}, "outputs")


def test_a_run_is_in_summary_and_outputs():
    need("xargs")
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        outcome, outputs = step(
            "load", folder, WEIR_PROGRAM=WEIR_LOAD, WEIR_COMMAND="run",
            WEIR_JUNIT="tests.xml", WEIR_ARGS=
            f"-c 2 -n 200\n --label 'a b=$(id)' --slo \"p50<60s\" {server.url}")
        equal((outputs["exit-code"], outputs["verdict"]), ("0", "VALID"),
              "outputs")
        with open(f"{folder}/summary", encoding="utf-8") as file:
            equal(len(read_tables(file.read())), 2, "tables")
        with open(f"{folder}/tests.xml", encoding="utf-8") as file:
            equal(list(read_junit(file.read())), ["valid", "p50<60s"], "cases")
        with open(outputs["json"], encoding="utf-8") as file:
            matches(file.read(), r'"a b": "\$\(id\)"')
    matches(outcome.out, r"^Requests +sent 200 ")


def test_the_step_ends_as_weir_load_does():
    need("xargs")
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        _, outputs = step("load", folder, SLO, WEIR_PROGRAM=WEIR_LOAD,
                          WEIR_COMMAND="run", WEIR_JUNIT="", WEIR_ARGS=
                          f"-n 20 --slo rate>100M {server.url}")
        equal((outputs["exit-code"], outputs["verdict"]), ("99", "FAILED"),
              "outputs")
        _, outputs = step("load", folder, USAGE, WEIR_PROGRAM=WEIR_LOAD,
                          WEIR_COMMAND="ab", WEIR_JUNIT="", WEIR_ARGS="")
        equal((outputs["exit-code"], outputs["verdict"]), ("2", ""), "outputs")
        outcome, _ = step("load", folder, USAGE, WEIR_PROGRAM=WEIR_LOAD,
                          WEIR_COMMAND="run", WEIR_JUNIT="", WEIR_ARGS=
                          f"-n 5 {server.url} --label 'a=b")
        equal(outcome.out, "", "a part of the words was run")
        matches(outcome.err, "unmatched single quote.*\n(.*\n)*args: ")
        outcome, _ = step("load", folder, USAGE, WEIR_PROGRAM=WEIR_LOAD,
                          WEIR_COMMAND="serve", WEIR_JUNIT="", WEIR_ARGS="")
        matches(outcome.err, r"'serve' is neither run nor ab")


def test_a_mistake_of_the_inputs_has_its_outputs_and_leaves_nothing():
    need("xargs")
    for name, args in (("serve", ""), ("run", "-n 5 --label 'a=b")):
        with tempfile.TemporaryDirectory() as folder:
            _, outputs = step("load", folder, USAGE, WEIR_PROGRAM=WEIR_LOAD,
                              WEIR_COMMAND=name, WEIR_JUNIT="", WEIR_ARGS=args)
            equal(outputs, {"exit-code": "2", "verdict": "", "json": ""}, name)
            equal(sorted(os.listdir(folder)), ["outputs", "summary"], name)


run(globals())
