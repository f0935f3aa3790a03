"""promises.py reads declarations as the page of rules does.

Each case is a header of one or two functions, and what is to come out of it.

Usage: test_promises.py
"""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import promises  # noqa: E402

HEAD = """/**
 * @file {name}
 * A header.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
/** Options. */
struct weir_thing_options {{
    size_t size;
}};
/** Facts. */
struct weir_facts {{
    /** sizeof(struct weir_facts), which the library sets. */
    size_t size;
}};
/** Marks, which never change. */
struct weir_marks {{
    /** The mark. */
    int mark;
}};

"""

MAKER = """/** Make a thing. */
WEIR_API WEIR_MUST_USE int
weir_thing_new(weir_loop *loop, const struct weir_thing_options *options,
               weir_callback_fn *cb, void *arg, weir_thing **ret);
"""
MAKER_ERRORS = {"-ECHILD", "-EPERM", "-EINVAL", "-E2BIG", "-ENOMEM", "-ESHUTDOWN"}
RET = "@param ret  the thing, given"


class Promises(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def read(self, declarations, name="thing.h"):
        path = self.folder / name
        path.write_text(HEAD.format(name=name) + declarations, encoding="utf-8")
        functions = promises.functions_in(self.folder)
        path.unlink()
        self.assertTrue(functions)
        return functions

    def one(self, declaration, name="thing.h"):
        return next(iter(self.read(declaration, name).values()))

    def says(self, declaration, name="thing.h"):
        return promises.completed(self.one(declaration, name))

    def errors(self, declaration, name="thing.h"):
        function = self.one(declaration, name)
        found = {error for item in promises.completed(function)
                 for error in promises.ERROR.findall(item)}
        return found | set(promises.errors_of_all(function))

    def test_a_maker_has_the_errors_of_makers_and_of_its_thread(self):
        self.assertEqual(self.errors(MAKER), MAKER_ERRORS)

    def test_an_object_of_sync_is_made_while_the_loop_is_freed(self):
        self.assertEqual(self.errors(MAKER, "sync.h"),
                         MAKER_ERRORS - {"-ESHUTDOWN"})

    def test_an_array_that_is_given_makes_a_maker(self):
        pair = MAKER.replace("weir_thing **ret", "weir_thing *ret[2]").replace(
            "weir_callback_fn *cb, void *arg, ", "")
        self.assertEqual(self.errors(pair), MAKER_ERRORS - {"-EINVAL"})

    def test_a_function_that_may_be_ignored_is_no_maker(self):
        self.assertNotIn("-ENOMEM",
                         self.errors(MAKER.replace("WEIR_MUST_USE", "")))

    def test_a_function_that_runs_a_loop_is_no_maker(self):
        self.assertNotIn("-ENOMEM",
                         self.errors(MAKER.replace("thing_new", "loop_run_until")))

    def test_a_function_that_suspends_has_the_errors_of_tasks(self):
        waits = MAKER.replace("/** Make a thing. */",
                              "/**\n * Wait.\n *\n * @suspends yes\n */")
        self.assertEqual(
            self.errors(waits),
            {"-ECHILD", "-EPERM", "-ECANCELED", "WEIR_ENOTTASK", "-E2BIG"})

    def test_any_thread_may_make_it_and_the_loop_may_have_ended(self):
        posts = MAKER.replace("/** Make a thing. */",
                              "/**\n * Post.\n *\n * @thread any\n */")
        self.assertEqual(self.errors(posts), {"-EINVAL", "-E2BIG", "-ENOMEM"})

    def test_parameters_by_the_rules_are_written_out_in_their_order(self):
        said = self.says(MAKER.replace("/** Make a thing. */",
                                       f"/**\n * Make.\n *\n * {RET}\n */"))
        self.assertEqual(said[:6], [
            "@param loop the loop; borrowed",
            "@param options borrowed; NULL for all defaults",
            "@param cb the function", "@param arg its first argument",
            "@param ret the thing, given", "@return 0"])

    def test_a_parameter_of_no_rule_is_left_to_the_header(self):
        said = self.says("/** Set. */\nWEIR_API void weir_thing_set("
                         "weir_thing *thing, int value, void *arg);\n")
        self.assertEqual(said, ["@param thing the thing; borrowed"])

    def test_a_task_holds_what_it_waits_on_but_no_reader(self):
        for kind, word in (("lock", "held"), ("reader", "borrowed")):
            said = self.says("/**\n * Wait.\n *\n * @suspends yes\n */\nWEIR_API "
                             f"WEIR_MUST_USE int weir_wait(weir_{kind} *of);\n")
            self.assertIn(f"@param of the {kind}; {word}", said)

    def test_an_end_takes_its_object(self):
        for end in ("free", "unref"):
            said = self.says("/** End. */\nWEIR_API void "
                             f"weir_thing_{end}(weir_thing *thing);\n")
            self.assertEqual(said, ["@param thing taken; NULL is ignored"])

    def test_a_reference_is_given_and_what_a_getter_returns_is_borrowed(self):
        for name, kind, expected in (
                ("thing_ref", "thing", "@return @p of; one reference is given"),
                ("thing_get_loop", "loop", "@return the loop; borrowed")):
            said = self.says(f"/** Tell. */\nWEIR_API weir_{kind} *"
                             f"weir_{name}(weir_thing *of);\n")
            self.assertEqual(said, ["@param of the thing; borrowed", expected])

    def test_a_result_is_what_the_first_sentence_says(self):
        for first, result in (("Get the count of things; 0 at first.", "the count of things"),
                              ("Report whether it is set.", "true if it is set")):
            said = self.says(f"/** {first} */\nWEIR_API bool weir_thing_is(void);\n")
            self.assertEqual(said, [f"@return {result}"])

    def test_a_struct_without_a_size_has_no_error_of_it(self):
        for struct, expected in (("facts", {"WEIR_EOPTIONSIZE"}), ("marks", set())):
            found = self.errors("/** Tell. */\nWEIR_API int weir_thing_tell(const "
                                f"weir_thing *thing, struct weir_{struct} *ret);\n")
            self.assertEqual(found - {"-EPERM", "-ECHILD"}, expected)

    def test_what_a_header_says_goes_first(self):
        said = self.says(MAKER.replace("/** Make a thing. */", (
            "/**\n * Make.\n *\n * @param loop  another one\n * @return  a count\n"
            " * @retval -ENOMEM  no memory; nothing is kept\n */")))
        self.assertIn("@param loop another one", said)
        self.assertIn("@return a count", said)
        self.assertIn("@retval -ENOMEM no memory; nothing is kept", said)
        self.assertEqual(sum("-ENOMEM" in item for item in said), 1)

    def test_a_result_of_another_function_leads_to_its_errors(self):
        said = self.says(MAKER.replace("/** Make a thing. */", (
            "/**\n * Make.\n *\n * @return as weir_other_new()\n */")))
        self.assertFalse(any("-ENOMEM" in item for item in said))

    def test_repetitions_of_the_rules_are_found(self):
        for item in ("@param loop  the loop; borrowed", "@return  0",
                     "@retval -ENOMEM  no memory",
                     "@retval -ECHILD  the loop was made before fork()"):
            function = self.one(MAKER.replace(
                "/** Make a thing. */", f"/**\n * Make.\n *\n * {item}\n */"))
            self.assertEqual(promises.repeated(function),
                             [promises.squeezed(item)])
        self.assertEqual(promises.repeated(self.one(MAKER)), [])

    def test_a_size_without_words_gets_those_of_the_rules(self):
        text = promises.complete(HEAD.format(name="thing.h"), "thing.h", set())
        self.assertIn("    /** sizeof(struct weir_thing_options). */\n"
                      "    size_t size;\n", text)
        self.assertIn("    /** sizeof(struct weir_facts), which the library "
                      "sets. */\n    size_t size;\n", text)
        self.assertEqual(promises.repeated_sizes(text), ["weir_thing_options"])

    def test_a_completed_header_links_to_the_page(self):
        text = promises.complete(HEAD.format(name="thing.h") + MAKER, "thing.h",
                                 {"weir_thing_options"})
        self.assertIn("@ref guide_rules", text)
        self.assertIn(" * @retval -ESHUTDOWN the loop is being freed\n", text)
        self.assertTrue(text.endswith(MAKER.partition("*/\n")[2]))


unittest.main()
