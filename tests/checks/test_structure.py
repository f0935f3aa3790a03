"""structure.py finds what it is for: a tree of two rooms, each time with one fault.

Usage: test_structure.py CC
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
COMPILER = sys.argv.pop() if len(sys.argv) > 1 else "cc"

GOOD = {
    "lib/loop/turn.h": "struct turn { int state; };\n"
                       "void wr_turn_begin(struct turn *turn);\n",
    "lib/loop/turn.c": """#include "turn.h"
static void turn_set_state(struct turn *turn, int state)
{
    wr_assert(turn->state < state);
    turn->state = state;
}
void wr_turn_begin(struct turn *turn)
{
    turn_set_state(turn, 1);
}
""",
    "lib/task/task.h": "void wr_task_run(void);\n",
    "lib/task/task.c": """#include "task.h"
#include "lib/loop/turn.h"
void wr_task_run(void)
{
    struct turn turn = {0};
    wr_turn_begin(&turn);
    wr_assert(turn.state);
}
""",
    "tests/checks/structure.json": "{}\n",
}


def run(changes, limits=None):
    """Exit code and words of structure.py for the good tree with @changes: pairs
    of texts by path, or a new file."""
    tree = dict(GOOD)
    for path, change in changes.items():
        old, new = change if path in tree else ("", change)
        tree[path] = tree.get(path, "").replace(old, new, 1) if old else new
    if limits:
        tree["tests/checks/structure.json"] = json.dumps(limits)
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        objects = []
        for path, text in tree.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        for path in sorted(name for name in tree if name.endswith(".c")):
            objects.append(root / (path.replace("/", "_") + ".o"))
            subprocess.run([COMPILER, "-w", "-Dwr_assert(cond)=((void)(cond))", "-I",
                            root, "-I", root / "include", "-c", root / path, "-o",
                            objects[-1]],
                           check=True)
        subprocess.run(["ar", "rc", root / "lib.a", *objects], check=True)
        done = subprocess.run(
            [sys.executable, HERE / "structure.py", root, root / "lib.a"],
            text=True, capture_output=True, check=False)
    return done.returncode, done.stdout + done.stderr


class Structure(unittest.TestCase):
    def refuses(self, words, changes, limits=None):
        code, text = run(changes, limits)
        self.assertIn(words, text)
        self.assertEqual(code, 1, text)

    def test_a_tree_without_a_fault_passes(self):
        code, text = run({})
        self.assertEqual(code, 0, text)

    def test_an_include_of_a_higher_room(self):
        self.refuses("loop may not include lib/task/task.h", {
            "lib/loop/turn.c": ('#include "turn.h"',
                                '#include "turn.h"\n#include "lib/task/task.h"')})

    def test_an_include_of_a_header_for_proxies(self):
        headers = "proxy_headers = files(\n  'weir/relay.h',\n)\n"
        for name in ("<weir/relay.h>", '"weir/relay.h"'):
            self.refuses("only lib/proxy may include relay.h", {
                "include/meson.build": headers, "include/weir/relay.h": "\n",
                "lib/loop/turn.c": ("#include", f"#include {name}\n#include")})
        self.refuses("only lib/proxy may include relay.h", {
            "include/meson.build": headers, "include/weir/relay.h": "\n",
            "include/weir/stream.h": '#include "relay.h"\n'})

    def test_a_call_of_a_higher_room(self):
        self.refuses("loop may not call wr_task_run() of task/task.c", {
            "lib/loop/turn.c": ("turn_set_state(turn, 1);",
                                "void wr_task_run(void); wr_task_run();")})

    def test_a_call_out_of_a_room_with_a_number_in_its_name(self):
        self.refuses("x509 may not call wr_task_run() of task/task.c", {
            "lib/x509/date.c": "void wr_task_run(void);\n"
                               "void wr_date(void)\n{\n    wr_task_run();\n}\n"})

    def test_a_call_between_rooms_inside_a_room(self):
        self.refuses("transport/sock may not call wr_pipe() of transport/pipe/pipe.c", {
            "lib/transport/pipe/pipe.c": "void wr_pipe(void)\n{\n}\n",
            "lib/transport/sock/sock.c": "void wr_pipe(void);\n"
                                         "void wr_sock(void)\n{\n    wr_pipe();\n}\n"})

    def test_a_room_that_is_not_known(self):
        self.refuses("no room of that name",
                     {"lib/attic/box.h": "struct box;\n"})

    def test_a_static_without_its_files_name(self):
        self.refuses("the static name set_state does not begin with turn_", {
            "lib/loop/turn.c": ("static void turn_set_state",
                                "static void set_state(void) {}\n"
                                "static void turn_set_state")})

    def test_a_static_that_two_files_have(self):
        self.refuses("the static name task_help is also in", {
            "lib/task/task.c": ("void wr_task_run(void)\n{",
                                "static int task_help;\nvoid wr_task_run(void)\n{"),
            "lib/loop/turn.c": ("static void turn_set_state",
                                "static int task_help;\n"
                                "static void turn_set_state")})

    def test_files_that_call_each_other(self):
        self.refuses("files in circles of calls: 2 falls behind 0", {
            "lib/loop/turn.c": ("turn_set_state(turn, 1);",
                                "void wr_wheel(void); wr_wheel();"),
            "lib/loop/wheel.c": "#include \"turn.h\"\n"
                                "void wr_wheel(void)\n{\n    wr_turn_begin(0);\n}\n",
        }, {"files in circles of calls": 0})

    def test_a_state_that_another_function_writes(self):
        self.refuses("states written outside of their function: 1 falls behind 0", {
            "lib/task/task.c": ("wr_turn_begin(&turn);", "turn.state = 2;")},
            {"states written outside of their function": 0})

    def test_a_file_without_an_assertion(self):
        self.refuses("files without an assertion: 1 falls behind 0", {
            "lib/task/task.c": ("wr_assert(turn.state);", "")},
            {"files without an assertion": 0})

    def test_a_comment_that_is_a_question(self):
        self.refuses("comments against the rules of words: 1 falls behind 0", {
            "lib/task/task.c": ("void wr_task_run", "/* Who runs. */\nvoid wr_task_run")},
            {"comments against the rules of words": 0})

    def test_a_figure_that_must_not_fall(self):
        self.refuses("assertions a function: 0.67 falls behind 0.75", {},
                     {"assertions a function": 0.75})

    def test_a_function_that_is_too_long(self):
        self.refuses("function lines, longest: 42 falls behind 41", {
            "lib/task/task.c": ("wr_turn_begin(&turn);",
                                "\n".join(["wr_turn_begin(&turn);"] * 38))},
            {"function lines, longest": 41})


if __name__ == "__main__":
    unittest.main()
