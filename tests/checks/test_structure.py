"""structure.py finds what it is for: a tree of two rooms, each time with one fault,
and the same tree in a repository, whose history says how large it may be.

Usage: test_structure.py CC
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import budget

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
}
LARGE = dict.fromkeys(
    ("lib/loop", "lib/task", "lib/x509", "lib/transport/pipe", "lib/transport/sock",
     "include/weir", "build files", "tests/checks"), 99)


def run(changes, limits=None):
    """Exit code and words of structure.py for the good tree with @changes: pairs
    of texts by path, or a new file."""
    tree = {**GOOD, "tests/checks/structure.json":
            json.dumps({"figures": limits or {}, "rooms": LARGE})}
    for path, change in changes.items():
        old, new = change if path in tree else ("", change)
        tree[path] = tree.get(path, "").replace(old, new, 1) if old else new
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write(root, tree)
        build(root, tree)
        return structure(root, root / "lib.a")


def write(root, tree):
    for path, text in tree.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def build(root, tree):
    objects = []
    for path in sorted(name for name in tree if name.endswith(".c")):
        objects.append(root / (path.replace("/", "_") + ".o"))
        subprocess.run([COMPILER, "-w", "-Dwr_assert(cond)=((void)(cond))", "-I",
                        root, "-I", root / "include", "-c", root / path, "-o",
                        objects[-1]],
                       check=True)
    subprocess.run(["ar", "rc", root / "lib.a", *objects], check=True)


def structure(*words):
    done = subprocess.run([sys.executable, HERE / "structure.py", *words],
                          text=True, capture_output=True, check=False)
    return done.returncode, done.stdout + done.stderr


def git(root, *words):
    subprocess.run(["git", "-c", "user.name=test", "-c", "user.email=test@localhost",
                    "-c", "commit.gpgsign=false", *words], cwd=root, check=True,
                   capture_output=True,
                   env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})


def commit(root, *message):
    git(root, "add", ".")
    git(root, "commit", "-q", "--allow-empty", "-m", "\n\n".join(message))


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

    def test_an_include_that_is_no_door(self):
        self.refuses("others include conn.h alone, not way.h", {
            "tools/weir-load/conn/way.h": "\n",
            "tools/weir-load/run/run.c": '#include "tools/weir-load/conn/way.h"\n'})

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
        self.refuses("files in circles of calls: 2, at most 0", {
            "lib/loop/turn.c": ("turn_set_state(turn, 1);",
                                "void wr_wheel(void); wr_wheel();"),
            "lib/loop/wheel.c": "#include \"turn.h\"\n"
                                "void wr_wheel(void)\n{\n    wr_turn_begin(0);\n}\n",
        }, {"files in circles of calls": 0})

    def test_a_state_that_another_function_writes(self):
        self.refuses("states written outside of their function: 1, at most 0", {
            "lib/task/task.c": ("wr_turn_begin(&turn);", "turn.state = 2;")},
            {"states written outside of their function": 0})

    def test_a_file_without_an_assertion(self):
        self.refuses("files without an assertion: 1, at most 0", {
            "lib/task/task.c": ("wr_assert(turn.state);", "")},
            {"files without an assertion": 0})

    def test_a_comment_that_is_a_question(self):
        self.refuses("comments against the rules of words: 1, at most 0", {
            "lib/task/task.c": ("void wr_task_run", "/* Who runs. */\nvoid wr_task_run")},
            {"comments against the rules of words": 0})

    def test_a_function_that_is_too_long(self):
        self.refuses("functions over 70 lines: 1, at most 0", {
            "lib/task/task.c": ("wr_turn_begin(&turn);",
                                "\n".join(["wr_turn_begin(&turn);"] * 67))},
            {"functions over 70 lines": 0})

    def test_a_small_function_that_is_called_once(self):
        once = "small functions called once, library"
        self.refuses(f"{once}: 1, at most 0", {}, {once: 0})
        for change in ("turn_set_state(turn, 1);\n    turn_set_state(turn, 2);",
                       "table[0] = turn_set_state;"):
            code, text = run({"lib/loop/turn.c": ("turn_set_state(turn, 1);",
                                                  f"void *table[1]; {change}")},
                             {once: 0})
            self.assertEqual(code, 0, text)

    def test_a_header_that_one_file_includes(self):
        one = "headers with one user, library"
        self.refuses(f"{one}: 2, at most 1", {}, {one: 1})
        code, text = run({"lib/task/wait.c": '#include "task.h"\n'
                                             '#include "lib/loop/turn.h"\n',
                          "lib/task/group.c": '#include "task.h"\n'}, {one: 0})
        self.assertEqual(code, 0, text)

    def test_a_function_that_is_a_copy(self):
        copy = ("static int {0}_sum(int {1})\n{{\n    int {2} = {1};\n    {2} += {1};\n"
                "    return {2} + {3};\n}}\n")
        changes = {"lib/task/wait.c": copy.format("wait", "a", "sum", 1),
                   "lib/loop/wheel.c": copy.format("wheel", "b", "all", 1)}
        self.refuses("functions that are a copy: 1, at most 0", changes,
                     {"functions that are a copy": 0})
        changes["lib/task/wait.c"] = copy.format("wait", "a", "sum", 2)
        code, text = run(changes, {"functions that are a copy": 0})
        self.assertEqual(code, 0, text)


class Statements(unittest.TestCase):
    def test_each_form(self):
        for count, text in (
                (1, "f(1, 2);"), (3, "f(), g(), h();"), (2, "a && f();"),
                (2, "a || f();"), (2, "a ? f() : g();"), (2, "(void)(a && f());"),
                (2, "(a = f()) || g();"), (1, "b = a && f();"), (1, "return a || b;"),
                (2, "if (a && b) f();"), (3, "if (a) b && f();"), (2, "return (f(), 1);"),
                (1, "for (;;) f();"), (2, "for (;; i++, j++) f();"),
                (1, "int a[] = {1, 2, {3, 4}};"), (1, "enum e { A, B };"),
                (1, "s = (struct s){1, 2};"), (1, "int (*f)(int a, int b);"),
                (2, "int a, b;"), (0, "/* f(); */"), (1, 'f(";");'),
                (3, "#define F(a) do { f(a); g(a); } while (0)\n"),
                (2, "#define F(a) \\\n    f(a); \\\n    g(a);\n"),
                (0, "#define F(a, b) g(a, b), {1, 2}\n"), (0, "#include <a;b>\n")):
            self.assertEqual(budget.statements(text), count, text)


class History(unittest.TestCase):
    """A repository of the good tree, whose first commit settles its numbers."""

    MORE = "void wr_turn_end(void)\n{\n    wr_turn_more();\n    wr_turn_more();\n}\n"

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.first = pathlib.Path(folder.name).resolve() / "first"
        write(cls.first, {**GOOD, ".gitignore": "*.o\n*.a\n", budget.NUMBERS: json.dumps(
            {"figures": {"small functions called once, library": 0}})})
        build(cls.first, GOOD)
        git(cls.first, "init", "-q")
        git(cls.first, "add", ".")
        structure(cls.first, cls.first / "lib.a", "--update")
        commit(cls.first, "tree: begin")

    def setUp(self):
        self.root = self.first.with_name(self.id())
        shutil.copytree(self.first, self.root)

    def append(self, path, text):
        write(self.root, {path: GOOD.get(path, "") + text})
        git(self.root, "add", ".")

    def change_numbers(self, rooms, settled):
        path = self.root / budget.NUMBERS
        numbers = json.loads(path.read_text(encoding="utf-8"))
        numbers["rooms"].update(rooms)
        numbers["settled"] = settled
        path.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")

    def run_structure(self, *words):
        return structure(self.root, self.root / "lib.a", *words)

    def passes(self, words=""):
        code, text = self.run_structure()
        self.assertEqual(code, 0, text)
        self.assertIn(words, text)

    def refuses(self, words):
        code, text = self.run_structure()
        self.assertEqual(code, 1, text)
        self.assertIn(words, text)

    def test_a_room_grows_by_what_a_commit_says(self):
        over = "lib/loop: 8 statements, at most 6: take 2 away, or end the commit's " \
               "message with `Budget: lib/loop +2: reason`"
        self.append("lib/loop/turn.c", self.MORE)
        self.refuses(over)
        commit(self.root, "turn: end")
        self.refuses(over)
        commit(self.root, "turn: say why", "Budget: lib/loop +1: half of it")
        self.refuses("lib/loop: 8 statements, at most 7")
        commit(self.root, "turn: say all",
               "Budget: lib/loop/turn.c +1: the rest of it\nBudget: lib/task/ +1: another")
        self.passes("lib/loop/turn.c +1: the rest of it")
        self.append("lib/loop/wheel.h", "struct wheel;\n")
        self.refuses("lib/loop: 9 statements, at most 8")

    def test_a_line_without_a_reason_adds_nothing(self):
        self.append("lib/loop/turn.c", self.MORE)
        commit(self.root, "turn: end", "Budget: lib/loop +2")
        self.refuses("lib/loop: 8 statements, at most 6")

    def test_an_update_lowers_and_ends_what_was_added(self):
        self.append("lib/loop/turn.c", self.MORE)
        commit(self.root, "turn: end", "Budget: lib/loop +5: more")
        self.run_structure("--update")
        self.passes("lib/loop: 8 statements (limit 8)")
        commit(self.root, "structure: settle")
        self.passes("lib/loop: 8 statements (limit 8)")
        self.append("lib/loop/turn.c", "")
        self.passes("lib/loop: 6 statements (limit 8)")
        self.run_structure("--update")
        commit(self.root, "turn: end no more")
        self.append("lib/loop/turn.c", self.MORE)
        self.refuses("lib/loop: 8 statements, at most 6")
        self.run_structure("--update")
        self.refuses("lib/loop: 8 statements, at most 6")

    def test_a_number_that_is_raised_by_hand(self):
        raised = "lib/loop: structure.json says 8, its history allows 6"
        for settled in (1, 2):
            self.change_numbers({"lib/loop": 8}, settled)
            self.refuses(raised)
            commit(self.root, "structure: raise")
            self.refuses(raised)
        commit(self.root, "turn: say why", "Budget: lib/loop +2: it is needed")
        self.passes()

    def test_a_path_of_no_room(self):
        self.append("web/page.html", "")
        self.refuses("web/page.html: no room holds this path")

    def test_a_room_that_is_new(self):
        self.append("tests/attic/box.py", "")
        self.refuses("tests/attic/box.py: tests/attic is no room of structure.json")
        commit(self.root, "attic: open", "Budget: tests/attic +1: it is needed")
        self.passes()

    def test_a_line_that_names_no_room(self):
        commit(self.root, "attic: open", "Budget: lib/attic +1: it is needed")
        self.refuses("`Budget: lib/attic +1` names no room; the rooms are")

    def test_without_the_whole_history(self):
        self.append("lib/loop/turn.c", self.MORE)
        commit(self.root, "turn: end", "Budget: lib/loop +2: more")
        git(self.root, "clone", "-q", "--depth", "1", f"file://{self.root}", "../shallow")
        archive, self.root = self.root / "lib.a", self.root.parent / "shallow"
        (self.root / "lib.a").write_bytes(archive.read_bytes())
        self.refuses("the whole history is not here")
        self.refuses("lib/loop: 8 statements, at most 6")


if __name__ == "__main__":
    unittest.main()
