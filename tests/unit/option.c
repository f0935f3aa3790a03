/*
 * Command lines parsed by rows of options: values of each kind, forms of
 * options, error messages, and the text of --help.
 *
 * The rows belong to no program: each has one feature that others lack.
 */
#define UNIT_RUN with_nothing
#include "tools/common/option.c"

#include "tests/unit.h"
#include "tools/common/shell_line.h"

#include <unistd.h>

static char said[8192]; /* all lines */
static char words[256]; /* arguments that were accepted, separated by blanks */

bool say(const char *format, ...)
{
    const size_t len = strlen(said);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(said + len, sizeof(said) - len, format, arguments);
    va_end(arguments);
    strncat(said, "\n", sizeof(said) - strlen(said) - 1);
    return false;
}

void console_write(const char *text, size_t len)
{
    strncat(said, text, len);
}

struct picked {
    uint64_t count;
    uint64_t size;
    uint64_t time;
    double share;
    int choice;
    bool either;
    bool is_on;
    bool is_quiet;
    const char *text;
    const char *maybe;
    const struct option *mark;
};

static struct picked picked;

static bool read_maybe(void *options, const struct option *option,
                       const char *value, char *why)
{
    (void)option;
    (void)why;
    ((struct picked *)options)->maybe = value ? value : "nothing";
    return true;
}

static bool take_this(void *options, const char *text, char *why)
{
    (void)options;
    if (strcmp(text, "bad") == 0) {
        return option_refuse(why, "'%s' is no word", text);
    }
    strncat(words, text, sizeof(words) - strlen(words) - 1);
    strncat(words, " ", sizeof(words) - strlen(words) - 1);
    return true;
}

static bool pass_this(void *options, const struct option *option,
                      const char *word, char *why)
{
    cr_assert_not_null(option);
    return take_this(options, word, why);
}

#define AT(field) .offset = offsetof(struct picked, field)

static const char *const choices[] = {"red", "green", "blue", NULL};
static const char *const both[] = {"queue", "skip", NULL};
static const struct option_rule never[] = {{"time", "says it"}, {NULL, NULL}};

static const char *name_shade(int index)
{
    return index < 3 ? (const char *const[]){"dark", "dim", "pale"}[index]
                     : NULL;
}

static const struct option rows[] = {
    {.kind = OPTION_TITLE, .help = "Numbers"},
    {"count", 'c', "N", "a count", .aliases = "number amount N",
     .kind = OPTION_COUNT, .least = 1, .most = 1000, AT(count), .initial = "10",
     .mark = offsetof(struct picked, mark) + 1, .excludes = never},
    {"size", 0, "SIZE", "a size. It is long", .kind = OPTION_SIZE,
     .least = 4096, AT(size), .is_common = true},
    {"time", 't', "TIME", "a time", .kind = OPTION_TIME, .least = 1000000,
     .most = UINT64_C(3600000000000), AT(time)},
    {"share", 0, "P%", "a share", .kind = OPTION_SHARE, .least = 1000,
     .most = 1000000, AT(share)},
    {"colour", 0, "WORD", "a choice", .kind = OPTION_CHOICE, .choices = choices,
     AT(choice), .initial = "green"},
    {"shade", 0, "WORD", "{}, of a module", .kind = OPTION_CHOICE,
     .name_choice = name_shade, AT(choice)},
    {"late", 0, "HOW", "one of two", .kind = OPTION_EITHER, .choices = both,
     AT(either)},
    {"on", 'o', NULL, "a switch", .kind = OPTION_SWITCH, AT(is_on)},
    {"quiet", 'q', NULL, "another", .kind = OPTION_SWITCH, AT(is_quiet)},
    {"text", 0, "TEXT", "a text", .kind = OPTION_TEXT, AT(text),
     .needs = "count"},
    {"maybe", 'm', "[=TEXT]", "a text, or none", .read = read_maybe},
    {"next", 0, "[TEXT]", "a text, or none", .read = read_maybe},
    {.kind = OPTION_NOTE,
     .help = "A sentence that stands between the rows, "
             "and is as long as two of the lines that a "
             "terminal of eighty columns has."},
    {"hidden", 0, NULL, NULL, .kind = OPTION_SWITCH, AT(is_on)},
    OPTION_ROW_HELP,
};

static const struct option passed_rows[] = {
    {"rate", 'R', "RATE", "a rate", .aliases = "k", .kind = OPTION_COUNT},
    {"verbose", 'v', NULL, "words", .kind = OPTION_SWITCH},
    {"json", 0, "[=FILE]", "a file", .kind = OPTION_TEXT},
};
static const struct option_set passed_set = {
    .command = "run", .rows = passed_rows, .count = 3};

static struct option_set set = {
    .command = "tool do",
    .head = "Usage: tool\n",
    .tail = "The end.\n",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .word = take_this,
    .pass = pass_this,
};

static void with_nothing(void (*body)(void))
{
    said[0] = '\0';
    words[0] = '\0';
    picked = (struct picked){.count = 0};
    set.passed = NULL;
    set.is_ordered = false;
    set.has_sides = false;
    body();
}

static enum options_result reads(const char *const *arguments)
{
    char *argv[24] = {NULL};
    int argc = 0;

    said[0] = '\0';
    words[0] = '\0';
    for (; arguments[argc]; argc++) {
        argv[argc] = (char *)(uintptr_t)arguments[argc];
    }
    return options_read(&set, &picked, argc, argv, 0, NULL);
}

#define READS(...)                                                             \
    expect_eq(reads((const char *const[]){__VA_ARGS__, NULL}), OPTIONS_READY,  \
              "%s", said)
#define REFUSES(lines, ...)                                                    \
    do {                                                                       \
        expect_eq(reads((const char *const[]){__VA_ARGS__, NULL}),             \
                  OPTIONS_BAD);                                                \
        expect_str_eq(said, lines);                                            \
    } while (0)

/* A command line, and its error messages. */
struct refused {
    const char *lines;
    const char *words[3];
};

static void refuse_each(const struct refused *each, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *const line[] = {each[i].words[0], each[i].words[1],
                                    each[i].words[2], NULL};
        expect_eq(reads(line), OPTIONS_BAD);
        expect_str_eq(said, each[i].lines);
    }
}

UNIT(option, a_value_of_each_kind_goes_into_its_field)
{
    READS("--count", "50", "--size=64K", "--share", "2%", "--colour", "blue",
          "--late", "skip", "-oq", "--text", "x");
    expect_eq(picked.count, 50);
    expect_eq(picked.size, 65536);
    cr_assert(picked.share == 0.02);
    expect_eq(picked.choice, 2);
    cr_assert(picked.either && picked.is_on && picked.is_quiet);
    expect_str_eq(picked.text, "x");
    expect_str_eq(picked.mark->name, "count");
    READS("--late=queue", "--on=off", "-t500ms");
    expect_eq(picked.time, 500000000);
    cr_assert_not(picked.either);
    cr_assert_not(picked.is_on);
}

UNIT(option, initial_values_are_those_of_the_rows)
{
    options_set_initial(&set, 0, &picked);
    expect_eq(picked.count, 10);
    expect_eq(picked.choice, 1);
    cr_assert_null(picked.mark);
    options_set_initial(&set, 1, NULL); /* no row is of that scope */
}

UNIT(option, a_value_that_may_be_missing_is_taken_where_its_row_says)
{
    READS("--maybe", "word");
    expect_str_eq(picked.maybe, "nothing");
    expect_str_eq(words, "word ");
    READS("--maybe=x");
    expect_str_eq(picked.maybe, "x");
    READS("-qm", "word");
    expect_str_eq(picked.maybe, "nothing");
    READS("-qm=z");
    expect_str_eq(picked.maybe, "z");
    READS("--next", "y");
    expect_str_eq(picked.maybe, "y");
    READS("--next", "-o");
    expect_str_eq(picked.maybe, "nothing");
    READS("--next");
    expect_str_eq(picked.maybe, "nothing");
}

UNIT(option, other_names_of_an_option_are_found)
{
    READS("--number", "7");
    expect_eq(picked.count, 7);
    READS("--amount=8");
    expect_eq(picked.count, 8);
    READS("--shade", "pale");
    expect_eq(picked.choice, 2);
    REFUSES("unknown flag --amoun (see tool do --help)\n", "--amoun", "8");
}

UNIT(option, each_wrong_value_is_told_with_what_would_be_right)
{
    static const struct refused rows_of_lines[] = {
        {"-c: 'x' is not a count such as 50 or 10k\n", {"-c", "x"}},
        {"-c: 0 is out of range, 1 to 1000\n", {"-c0"}},
        {"--count: 1001 is out of range, 1 to 1000\n", {"--count=1001"}},
        {"--count: 99999999999999999999 is out of range, 1 to 1000\n",
         {"--count", "99999999999999999999"}},
        {"--size: 4095 is out of range, at least 4K\n", {"--size", "4095"}},
        {"--time: 1us is out of range, 1ms to 1h\n", {"--time", "1us"}},
        {"--share: 101% is out of range, 0.1% to 100%\n", {"--share", "101%"}},
        {"--colour: 'pink' is not red, green or blue\n", {"--colour", "pink"}},
        {"--shade: 'x' is not dark, dim or pale\n", {"--shade=x"}},
        {"--late: 'x' is not queue or skip\n", {"--late=x"}},
        {"--on: 'maybe' is neither on nor off\n", {"--on=maybe"}},
        {"--text: it is empty\n", {"--text=", "-c1"}},
    };

    refuse_each(rows_of_lines,
                sizeof(rows_of_lines) / sizeof(rows_of_lines[0]));
}

UNIT(option, each_wrong_form_is_told)
{
    static const struct refused rows_of_lines[] = {
        {"-c needs a value (see tool do --help)\n", {"-c"}},
        {"--size needs a value (see tool do --help)\n", {"--size"}},
        {"--help takes no value\n", {"--help=x"}},
        {"unknown flag -x (see tool do --help)\n", {"-ox"}},
        {"-count needs a value (see tool do --help)\n", {"-count"}},
        {"-time: 'x' is not a time such as 500ms or 10s\n", {"-time=x"}},
        {"unknown flag --tme; did you mean --time? (see tool do --help)\n",
         {"--tme"}},
        {"unknown flag --TIME; did you mean --time? (see tool do --help)\n",
         {"--TIME"}},
        {"unknown flag --hel; did you mean --help? (see tool do --help)\n",
         {"--hel"}},
        {"-q takes no value\n", {"-q=on"}},
        {"--on: '' is neither on nor off\n", {"--on="}},
        {"unknown flag --zzzzzz (see tool do --help)\n", {"--zzzzzz"}},
    };

    refuse_each(rows_of_lines,
                sizeof(rows_of_lines) / sizeof(rows_of_lines[0]));
}

UNIT(option, all_mistakes_of_a_line_are_told_and_words_when_there_are_none)
{
    REFUSES("unknown flag -z (see tool do --help)\n"
            "-c: 0 is out of range, 1 to 1000\n"
            "--late: 'x' is not queue or skip\n",
            "-z", "3s", "-c", "0", "bad", "--late", "x");
    REFUSES("'bad' is no word\n", "-o", "good", "bad");
}

UNIT(option, rules_are_looked_at_when_every_value_is_right)
{
    REFUSES("-c: --time says it\n", "-c1", "--time", "1s");
    REFUSES("--text: there is no --count\n", "--text", "x");
    REFUSES("-c: --time says it\n", "--text", "x", "-t1s", "--amount", "3");
}

UNIT(option, two_dashes_end_the_options)
{
    READS("a", "-o", "--", "-c", "--", "b");
    expect_str_eq(words, "a -c -- b ");
    set.has_sides = true;
    READS("a", "--", "-o", "b");
    expect_str_eq(words, "a -- b ");
    READS("-");
    expect_str_eq(words, "- ");
}

UNIT(option, options_that_are_passed_on_go_as_they_were_written)
{
    set.passed = &passed_set;
    READS("-R", "5", "-o", "--rate=6", "-v", "--json", "x", "-R7");
    expect_str_eq(words, "-R 5 --rate=6 -v --json -R 7 x ");
    cr_assert(picked.is_on);
    REFUSES("--rate needs a value (see tool do --help)\n", "--rate");
    REFUSES("unknown flag --vebose; did you mean --verbose? (see tool do "
            "--help)\n",
            "--vebose");
    REFUSES("-rate needs a value (see tool do --help)\n", "-rate");
    READS("-rate=5", "-verbose", "-k", "6");
    expect_str_eq(words, "-rate=5 -verbose -k 6 ");
    READS("-voR5", "x");
    expect_str_eq(words, "-v -R 5 x ");
    cr_assert(picked.is_on);
    REFUSES("-R: only targets may follow --\n", "--", "-R", "x");
    REFUSES("unknown flag -z (see tool do --help)\n", "-z");
}

UNIT(option, a_long_name_may_stand_behind_one_dash)
{
    READS("-count", "7", "-size=64K", "-quiet", "-maybe=x", "-oq");
    expect_eq(picked.count, 7);
    expect_eq(picked.size, 65536);
    expect_str_eq(picked.maybe, "x");
    cr_assert(picked.is_quiet && picked.is_on);
}

UNIT(option, a_letter_may_be_another_name)
{
    READS("-N", "9");
    expect_eq(picked.count, 9);
    READS("-N8");
    expect_eq(picked.count, 8);
    REFUSES("unknown flag --N (see tool do --help)\n", "--N", "8");
}

UNIT(option, a_line_for_a_shell_has_quotes_where_it_needs_them)
{
    static char text[SHELL_LINE_SIZE];
    struct shell_line line;

    shell_line_begin(&line, "tool do");
    shell_line_add(&line, "-c5");
    shell_line_add(&line, "it's");
    shell_line_add(&line, "");
    cr_assert(shell_line_end(&line));
    expect_str_eq(line.text, "tool do -c5 'it'\\''s' ''\n");
    memset(text, 'a', sizeof(text) - 7); /* "tool ", a line feed and a zero */
    shell_line_begin(&line, "tool");
    shell_line_add(&line, text);
    cr_assert(shell_line_end(&line));
    text[sizeof(text) - 7] = 'a';
    shell_line_begin(&line, "tool");
    shell_line_add(&line, text);
    cr_assert_not(shell_line_end(&line));
}

UNIT(option, help_is_asked_for_where_nothing_was_wrong_before)
{
    expect_eq(reads((const char *const[]){"-o", "--help", "-x", NULL}),
              OPTIONS_DONE);
    expect_str_eq(said, "");
    expect_eq(reads((const char *const[]){"-oh", "-x", NULL}), OPTIONS_DONE);
    expect_str_eq(said, "");
    REFUSES("-h prints the help, and takes no value\n", "-host");
    REFUSES("-h prints the help, and takes no value\n", "-h", "host");
    REFUSES("unknown flag -x (see tool do --help)\n", "-x", "--help");
}

UNIT(option, a_switch_that_is_off_was_not_given)
{
    struct option_list given;
    char *argv[] = {(char *)(uintptr_t) "--on=off", NULL};

    expect_eq(options_read(&set, &picked, 1, argv, 0, &given), OPTIONS_READY);
    cr_assert_not(option_is_given(&given, "on"));
}

UNIT(option, of_many_mistakes_the_first_ten_are_told)
{
    const char *many[] = {"-x", "-x", "-x", "-x", "-x", "-x", "-x",
                          "-x", "-x", "-x", "-x", "-x", NULL};
    size_t lines = 0;

    expect_eq(reads(many), OPTIONS_BAD);
    for (const char *at = said; *at; at++) {
        lines += *at == '\n';
    }
    expect_eq(lines, 11);
    cr_assert_not_null(
        strstr(said, "there may be more errors (see tool do --help)\n"));
}

UNIT(option, in_an_ordered_line_nothing_follows_a_word_that_is_wrong)
{
    set.is_ordered = true;
    REFUSES("'bad' is no word\n", "a", "bad", "-x");
    REFUSES("unknown flag -x (see tool do --help)\n", "-x", "bad");
}

/* Returns the text of --help. */
static char *helps(bool is_whole)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    cr_assert_not_null(file);
    print_help(&set, is_whole, file);
    fclose(file);
    return text;
}

UNIT(option, help_has_a_line_for_each_row_that_is_shown)
{
    char *text = helps(true);
    size_t column = 0;

    cr_assert_not_null(strstr(text, "Usage: tool\n\nNumbers:\n"));
    cr_assert_not_null(strstr(
        text,
        "  -c, --count N            a count (10); also --number, --amount, -N"
        "\n"));
    cr_assert_not_null(
        strstr(text, "  -m, --maybe[=TEXT]       a text, or none\n"));
    cr_assert_not_null(
        strstr(text, "      --next [TEXT]        a text, or none\n"));
    cr_assert_not_null(strstr(
        text, "      --shade WORD         dark, dim or pale, of a module\n"));
    cr_assert_null(strstr(text, "hidden"));
    cr_assert_not_null(strstr(
        text, "\n\n  -h, --help               print this text\n\nThe end.\n"));
    for (const char *at = text; *at; at++) {
        column = *at == '\n' ? 0 : column + 1;
        cr_assert(column <= 80, "%s", at);
    }
    free(text);
}

UNIT(option, short_help_has_the_first_sentence_of_common_rows)
{
    char *text = helps(false);

    expect_str_eq(text, "Usage: tool\n"
                        "      --size SIZE          a size\n"
                        "  -h, --help               print this text\n"
                        "\nThe end.\n");
    free(text);
}

UNIT(option, a_flag_is_written_as_its_shortest_name)
{
    char flag[OPTION_FLAG_SIZE];

    expect_str_eq(option_flag(option_find(&set, "count", 5), flag), "-c");
    expect_str_eq(option_flag(option_find(&set, "size", 4), flag), "--size");
    cr_assert_null(option_find(&set, "", 0));
    cr_assert_not(option_say(option_find(&set, "size", 4), "it is %d", 3));
    expect_str_eq(said, "--size: it is 3\n");
}
