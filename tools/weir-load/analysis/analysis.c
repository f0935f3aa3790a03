/*
 * Checks the command lines of ab, compare, report, search and sweep. The script
 * gets each option by its long name, initial values first, and parses the
 * values again. Their syntax is checked here, so that mistakes are reported in
 * the same words as for a run.
 */
#include "analysis.h"

#include "tools/common/console.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/command/command.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/options/options.h"
#include "tools/weir-load/output/output.h"
#include "tools/weir-load/target/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 512U
#define OWN_MAX   64U

/* Space for the options and the target of a side. */
#define NAME_SIZE 512U

#define SECOND    UINT64_C(1000000000)
#define RATE_MAX  UINT64_C(1000000000)
#define PAIRS_MAX 200U

struct words {
    size_t count;
    const char *list[WORDS_MAX];
};

struct side {
    struct split flags;
    struct option_list passed;
    char name[NAME_SIZE];
    struct words words;
};

struct analysis {
    /* The option parser stores a checked value here. It is not used: `own` has
     * the text. */
    union {
        uint64_t number;
        double share;
        int choice;
        bool is_on;
        const char *text;
        struct publish_paths paths;
    } value;
    /* The options of the command, in order. */
    size_t own_count;
    struct {
        const struct option *option;
        const char *value;
    } own[OWN_MAX];
    /* Options of runs, followed by targets or files. */
    struct words words;
    struct option_list passed;
    size_t target_count;
    struct side sides[2];
};

static bool append(struct words *words, const char *word)
{
    if (words->count == WORDS_MAX) {
        return say("more than %u words", WORDS_MAX);
    }
    words->list[words->count++] = word;
    return true;
}

static bool append_list(struct words *words, const char *const *list,
                        size_t count)
{
    bool is_good = true;

    for (size_t i = 0; i < count && is_good; i++) {
        is_good = append(words, list[i]);
    }
    return is_good;
}

static bool take_word(void *options, const char *text, char *why)
{
    struct words *words = &((struct analysis *)options)->words;

    if (words->count == WORDS_MAX) {
        return option_refuse(why, "more than %u words", WORDS_MAX);
    }
    words->list[words->count++] = text;
    return true;
}

static bool take_target(void *options, const char *text, char *why)
{
    ((struct analysis *)options)->target_count++;
    return take_word(options, text, why);
}

static bool pass(void *options, const struct option *option, const char *word,
                 char *why)
{
    struct option_list *passed = &((struct analysis *)options)->passed;

    if (!option_is_given(passed, option->name)) {
        passed->list[passed->count++] = option;
    }
    return take_word(options, word, why);
}

/* Stores a checked option for the script. */
static bool keep(void *options, const struct option *option, const char *value,
                 char *why)
{
    struct analysis *self = options;

    if (self->own_count == OWN_MAX) {
        return option_refuse(why, "more than %u options", OWN_MAX);
    }
    self->own[self->own_count].option = option;
    self->own[self->own_count++].value = value;
    return true;
}

static const char *find_own(const struct analysis *self, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < self->own_count; i++) {
        if (strcmp(self->own[i].option->name, name) == 0) {
            value = self->own[i].value ? self->own[i].value : "-";
        }
    }
    return value;
}

static bool read_json(void *options, const struct option *option,
                      const char *value, char *why)
{
    return !value || *value || option_refuse(why, "'' is not a file name");
}

static bool read_slo(void *options, const struct option *option,
                     const char *value, char *why)
{
    struct slo_error error;
    struct slo slo;

    return slo_parse(value, &slo, &error) == 0 ||
           option_refuse(why, "'%.200s', at character %zu: %s", value,
                         error.position, error.why);
}

/* The script parses the list, because only it knows what the list is for. */
static bool read_list(void *options, const struct option *option,
                      const char *value, char *why)
{
    return *value || option_refuse(why, "'' is empty");
}

static bool read_runs(void *options, const struct option *option,
                      const char *value, char *why)
{
    if (option_read_plain(&ab_set, options, option, value, why)) {
        return true;
    }
    if (strstr(why, "out of range")) {
        const size_t len = strlen(why);
        snprintf(why + len, OPTION_WHY_SIZE - len,
                 "; fewer than 6 pairs have no 95 %% interval: write --runs 6");
    }
    return false;
}

/* Splits the options of a side. check_ab() parses them later. */
static bool read_flags(void *options, const struct option *option,
                       const char *value, char *why)
{
    struct analysis *self = options;

    return split_text(value, &self->sides[option->name[0] == 'b'].flags, why);
}

/* Refuses a removed option, which would otherwise be passed on to runs. */
static bool refuse_gone(void *options, const struct option *option,
                        const char *value, char *why)
{
    return option_refuse(why, "it was removed; use %s",
                         gone_find(option->name, strlen(option->name)));
}

#define VALUE(kind_, member)                                                   \
    .kind = kind_, .offset = offsetof(struct analysis, value.member)
#define ROW_JSON(value_, text)                                                 \
    {                                                                          \
        "json", 'j', value_, text, .read = read_json                           \
    }
#define ROW_SAVE                                                               \
    {                                                                          \
        "save", 0, "DIR", "write the result of each run into this directory",  \
            VALUE(OPTION_TEXT, text)                                           \
    }
#define ROW_SLO(text)                                                          \
    {                                                                          \
        "slo", 0, "EXPR", text, .read = read_slo                               \
    }

static const char *const metrics[] = {"rate",  "p50",  "p90",      "p99",
                                      "p99.9", "mean", "cpu-rate", NULL};

#define COMPARISON_ROWS(force_text, undecided_value, undecided_text)           \
    {"margin",                                                                 \
     0,                                                                        \
     "P%",                                                                     \
     "largest change that does not count as a difference",                     \
     .least = 1,                                                               \
     .most = 1000000,                                                          \
     .initial = "5%",                                                          \
     VALUE(OPTION_SHARE, share)},                                              \
        {"metric",                                                             \
         0,                                                                    \
         "NAME",                                                               \
         "figure that decides: rate, p50, p90, p99, p99.9, mean or cpu-rate, " \
         "the rate per second of client CPU",                                  \
         .choices = metrics,                                                   \
         .initial = "p50",                                                     \
         VALUE(OPTION_CHOICE, choice)},                                        \
        {"force", 0, NULL, force_text, VALUE(OPTION_SWITCH, is_on)},           \
        {"undecided", 0, undecided_value, undecided_text, .read = read_list},  \
        PUBLISH_ROWS(analysis, value.paths)

static const struct option ab_rows[] = {
    {"runs", 0, "N", "number of pairs of runs", .least = 6, .most = PAIRS_MAX,
     .initial = "20", .read = read_runs, VALUE(OPTION_COUNT, number)},
    {"a-flags", 0, "'FLAGS'",
     "options of run for A only, such as '-p 4 -H \"X: 1\"'",
     .read = read_flags},
    {"b-flags", 0, "'FLAGS'", "options of run for B only", .read = read_flags},
    COMPARISON_ROWS("continue after invalid runs, and pass --force to the runs",
                    "pass|fail|until=T",
                    "exit code of \"cannot tell\": 0 with pass, 5 with fail; "
                    "until=5m makes more pairs first, until=5m,pass then exits "
                    "with 0 (fail)"),
    ROW_SAVE,
    ROW_JSON("[=FILE]", "write the comparison as JSON"),
    {"seed", 0, "N", .read = refuse_gone},
    OPTION_ROW_HELP,
};

/* Appended to the usage of each command that the script runs. */
#define NEEDS_PYTHON "Needs Python 3 (the package python3).\n"

#define SET(name_, rows_, ...)                                                 \
    .command = "weir-load " name_, .rows = rows_,                              \
    .count = sizeof(rows_) / sizeof((rows_)[0]), .begin = keep, __VA_ARGS__

const struct option_set ab_set = {
    SET("ab", ab_rows, .passed = &options_set, .pass = pass,
        .word = take_target),
    .head =
        "Usage: weir-load ab [FLAGS] [FLAGS OF RUN] A [B]\n"
        "\n"
        "Loads the targets A and B alternately in pairs of short runs, and "
        "reports\n"
        "whether B is better, worse or the same. Options of `weir-load run` "
        "apply to\n"
        "both, --a-flags and --b-flags to one; with these a single target is "
        "enough.\n"
        "A run takes 1s after a warm-up of 200ms, unless -d or -w is "
        "given.\n" NEEDS_PYTHON "\n"
        "Example: weir-load ab -c 20 tcp://127.0.0.1:7000 "
        "tcp://127.0.0.1:7001\n"
        "         weir-load ab -c 20 --b-flags '-p 4' tcp://127.0.0.1:7000\n"
        "\n",
    .tail = "Exit codes: 0 no difference or better, 99 worse, 5 cannot tell; 2 "
            "usage,\n"
            "3 or 4 a run failed, 130 interrupted.\n",
};

static const struct option compare_rows[] = {
    COMPARISON_ROWS(
        "compare results of different options, or of invalid runs", "pass|fail",
        "exit code of \"cannot tell\": 0 with pass, 5 with fail (fail)"),
    ROW_JSON("[=FILE]", "write the comparison as JSON"),
    OPTION_ROW_HELP,
};

const struct option_set compare_set = {
    SET("compare", compare_rows, .has_sides = true, .word = take_word),
    .head = "Usage: weir-load compare [FLAGS] A.json... -- B.json...\n"
            "\n"
            "Compares runs that were saved with --json, and reports whether B "
            "is better,\n"
            "worse or the same. It needs at least four runs of each, because "
            "each run is\n"
            "one sample; pairs of runs, as ab makes them, show more. Files "
            "separated by\n"
            "commas are parts of one run, and are merged.\n" NEEDS_PYTHON "\n"
            "Example: weir-load compare old1.json old2.json old3.json "
            "old4.json -- \\\n"
            "             new1.json new2.json new3.json new4.json\n"
            "\n",
    .tail = "Exit codes: 0 no difference or better, 99 worse, 5 cannot tell, 2 "
            "usage.\n",
};

static const struct option report_rows[] = {
    {"output", 'o', "FILE", "file to write the page to",
     VALUE(OPTION_TEXT, text)},
    {"title", 0, "TEXT", "title of the page", .initial = "Load report",
     VALUE(OPTION_TEXT, text)},
    ROW_JSON("FILE", "write the result that was merged from its parts"),
    {"force", 0, NULL,
     "merge results even if they are not all parts of one run",
     VALUE(OPTION_SWITCH, is_on)},
    {"svg", 0, "FILE", .read = refuse_gone},
    OPTION_ROW_HELP,
};

const struct option_set report_set = {
    SET("report", report_rows, .word = take_word),
    .head = "Usage: weir-load report -o PAGE.html [FLAGS] RESULT.json...\n"
            "\n"
            "Writes results that were saved with --json as one HTML page: "
            "verdicts;\n"
            "latency by percentile and against rate; rate, latency, a heat map "
            "of all\n"
            "latencies and errors by kind over time; and the environment. The "
            "page needs\n"
            "no network, but a browser that allows scripts.\n"
            "Files separated by commas are parts of one run, and are merged; - "
            "is standard\n"
            "input, whose lines may have results. The exit code is then the "
            "merged verdict's.\n" NEEDS_PYTHON "\n"
            "Example: weir-load report -o page.html run.json\n"
            "\n",
};

#define ROW_RATE(name_, text)                                                  \
    {                                                                          \
        name_, 0, "RATE", text, .least = 1, .most = RATE_MAX,                  \
                                VALUE(OPTION_COUNT, number)                    \
    }

static const struct option search_rows[] = {
    ROW_SLO("objectives that must hold, such as 'p99<5ms,errors<0.1%'"),
    ROW_RATE("from", "first rate (half of what a closed loop reaches)"),
    ROW_RATE("to", "highest rate to try (no limit)"),
    {"precision", 0, "P%", "width of the interval at which the search ends",
     .least = 1000, .most = 1000000, .initial = "2%",
     VALUE(OPTION_SHARE, share)},
    {"duration", 'd', "TIME",
     "length of a run (3s); longer if the percentiles of the objectives need "
     "more answers",
     .least = SECOND / 10, .most = 60 * SECOND, VALUE(OPTION_TIME, number)},
    ROW_SAVE,
    ROW_JSON("[=FILE]", "write the outcome and all runs as JSON"),
    OPTION_ROW_HELP,
};

const struct option_set search_set = {
    SET("search", search_rows, .passed = &options_set, .pass = pass,
        .word = take_word),
    .head =
        "Usage: weir-load search --slo EXPR [FLAGS] [FLAGS OF RUN] TARGET...\n"
        "\n"
        "Finds the largest rate at which the objectives hold, by runs at "
        "constant\n"
        "rates. Options of `weir-load run` apply to each run.\n" NEEDS_PYTHON
        "\n"
        "Example: weir-load search --slo 'p99<50ms' -c 50 "
        "tcp://127.0.0.1:7000\n"
        "\n",
    .tail = "Exit codes: 0 found, 99 the objectives hold at no rate, 2 usage,\n"
            "3 not one request succeeded, 130 interrupted.\n",
};

static const struct option sweep_rows[] = {
    {"rates", 0, "LIST", "rates in requests per second, in an open loop",
     .read = read_list},
    {"conns", 0, "LIST", "numbers of connections", .read = read_list},
    {"shuffle", 0, NULL, "make the runs in random order",
     VALUE(OPTION_SWITCH, is_on)},
    ROW_SLO("objectives of each run, such as 'p99<5ms,errors<0.1%'"),
    ROW_SAVE,
    ROW_JSON("[=FILE]", "write all runs as JSON"),
    {"seed", 0, "N", "seed of the order (1)", VALUE(OPTION_COUNT, number)},
    OPTION_ROW_HELP,
};

const struct option_set sweep_set = {
    SET("sweep", sweep_rows, .passed = &options_set, .pass = pass,
        .word = take_word),
    .head =
        "Usage: weir-load sweep --rates LIST [FLAGS] [FLAGS OF RUN] TARGET...\n"
        "       weir-load sweep --conns LIST [FLAGS] [FLAGS OF RUN] TARGET...\n"
        "\n"
        "Makes a run at each rate, or with each number of connections. A list "
        "is\n"
        "1k,2k,5k or 1k..10k/4, four numbers from 1k to 10k. Options of\n"
        "`weir-load run` apply to each run.\n" NEEDS_PYTHON "\n"
        "Example: weir-load sweep --rates 1k..10k/10 -d 3s "
        "tcp://127.0.0.1:7000\n"
        "\n",
    .tail = "Exit codes: 0 done, 99 the objectives did not hold in every run, "
            "2 usage,\n"
            "3 not one request of any run succeeded, 130 interrupted.\n",
};

static bool refuse_word(void *options, const char *text, char *why)
{
    char shown[256];

    return option_refuse(why,
                         "'%.200s' is not a flag; write targets at the end",
                         redis_url_show(text, shown, sizeof(shown)));
}

/* Checks that the options of a side are options of runs. */
static bool look_at_flags(struct side *side)
{
    static const struct option_set set = {
        .command = "weir-load run",
        .passed = &options_set,
        .pass = pass,
        .word = refuse_word,
    };
    char *argv[SPLIT_WORDS_MAX];
    struct analysis *flags = calloc(1, sizeof(*flags));

    if (!flags) {
        return say("no memory");
    }
    for (size_t i = 0; i < side->flags.count; i++) {
        argv[i] = (char *)side->flags.words[i];
    }
    const bool is_good = options_read(&set, flags, (int)side->flags.count, argv,
                                      0, NULL) == OPTIONS_READY;
    side->passed = flags->passed;
    free(flags);
    return is_good;
}

static void name_side(struct side *side, const char *target)
{
    size_t len = 0;

    for (size_t i = 0; i < side->flags.count && len < NAME_SIZE; i++) {
        char *word = secret_words_strip((char **)side->flags.words, (int)i);
        len += (size_t)snprintf(side->name + len, NAME_SIZE - len, "%s ",
                                word ? word : "");
        free(word);
    }
    if (len < NAME_SIZE) {
        redis_url_show(target, side->name + len, NAME_SIZE - len);
    }
}

/* Returns true if one of the NULL-terminated @names was given for this side or
 * for both. */
static bool has_flag(const struct analysis *self, const struct side *side,
                     const char *const *names)
{
    for (; *names; names++) {
        if (option_is_given(&self->passed, *names) ||
            option_is_given(&side->passed, *names)) {
            return true;
        }
    }
    return false;
}

/* Builds the arguments of a side's runs: common options, the side's options,
 * its target. */
static bool prepare_side(const struct analysis *self, struct side *side,
                         const char *target)
{
    static const char *const ends[] = {"duration", "requests", "stages",
                                       "conn-stages", NULL};
    static const char *const warmups[] = {"warmup", NULL};
    static const char *const duration[] = {"-d", "1s"};
    static const char *const warmup[] = {"-w", "200ms"};
    struct words *words = &side->words;

    name_side(side, target);
    return append_list(words, self->words.list, self->words.count) &&
           (has_flag(self, side, ends) || append_list(words, duration, 2)) &&
           (has_flag(self, side, warmups) || append_list(words, warmup, 2)) &&
           (!find_own(self, "force") || append(words, "--force")) &&
           append_list(words, side->flags.words, side->flags.count) &&
           append(words, target);
}

/* Each run would start at the first row. */
static bool refuses_once(const struct words *words, const char *name)
{
    static const char flag[] = "--data-order";

    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->list[i];
        const char *next = i + 1 < words->count ? words->list[i + 1] : "";
        if (strncmp(word, flag, sizeof(flag) - 1) == 0 &&
            strcmp(word[sizeof(flag) - 1] == '=' ? word + sizeof(flag) : next,
                   "once") == 0) {
            say("--data-order: %s makes several runs, each of which would use "
                "the same rows; write turn or random",
                name);
            return true;
        }
    }
    return false;
}

static bool check_ab(struct analysis *self)
{
    struct words *words = &self->words;
    struct side *sides = self->sides;
    const bool has_flags = sides[0].flags.count + sides[1].flags.count > 0;

    if (self->target_count != 2 && !(self->target_count == 1 && has_flags)) {
        return say("write two targets, A and B (see weir-load ab --help)");
    }
    words->count -= self->target_count;
    for (size_t i = 0; i < 2; i++) {
        const size_t target = i * (self->target_count - 1);
        if (!look_at_flags(&sides[i]) ||
            !prepare_side(self, &sides[i],
                          words->list[words->count + target]) ||
            refuses_once(&sides[i].words, "ab")) {
            return false;
        }
    }
    return true;
}

static bool check_search(struct analysis *self)
{
    if (!find_own(self, "slo")) {
        say("--slo is required, such as --slo 'p99<10ms' (see "
            "weir-load search --help)");
    } else if (option_is_given(&self->passed, "rate")) {
        say("-R: search chooses the rates; --from is the first one");
    } else if (option_is_given(&self->passed, "conn-stages")) {
        say("--conn-stages: each run of a search has one number of "
            "connections; see -c");
    } else if (self->words.count == 0) {
        say("no target (see weir-load search --help)");
    } else {
        return !refuses_once(&self->words, "search");
    }
    return false;
}

static bool check_sweep(struct analysis *self)
{
    if (!find_own(self, "rates") && !find_own(self, "conns")) {
        say("--rates or --conns is required (see weir-load sweep "
            "--help)");
    } else if (find_own(self, "conns") &&
               option_is_given(&self->passed, "conn-stages")) {
        say("--conn-stages: it cannot be combined with --conns, only with "
            "--rates");
    } else if (self->words.count == 0) {
        say("no target (see weir-load sweep --help)");
    } else {
        return !refuses_once(&self->words, "sweep");
    }
    return false;
}

/* Adds an option and its value to the arguments. They are never freed, because
 * the process ends soon. */
static bool add_word(const char ***at, const char *name, const char *value)
{
    char *word = NULL;

    if (asprintf(&word, "--%s=%s", name, value) < 0) {
        return say("no memory");
    }
    *(*at)++ = word;
    return true;
}

static bool add_words(const struct analysis *self, const struct option_set *set,
                      const char ***at)
{
    static const char *const names[] = {"a", "b"};
    bool is_good = true;

    for (size_t i = 0; i < set->count && is_good; i++) {
        const struct option *option = &set->rows[i];
        is_good =
            !option->initial || add_word(at, option->name, option->initial);
    }
    for (size_t i = 0; i < self->own_count && is_good; i++) {
        const char *value = self->own[i].value;
        is_good = add_word(at, self->own[i].option->name, value ? value : "-");
    }
    for (size_t i = 0; i < 2 && is_good && set == &ab_set; i++) {
        const struct side *side = &self->sides[i];
        is_good = add_word(at, i == 0 ? "a-name" : "b-name", side->name);
        for (size_t k = 0; k < side->words.count && is_good; k++) {
            is_good = add_word(at, names[i], side->words.list[k]);
        }
    }
    return is_good;
}

static int hand_over(const struct analysis *self, const struct option_set *set)
{
    static const char *argv[RESULTS_WORDS + OWN_MAX + 4 * WORDS_MAX];
    const size_t count = set == &ab_set ? 0 : self->words.count;
    const char **at = argv + RESULTS_WORDS;
    char target[NAME_SIZE] = "";

    if (count > 0) {
        redis_url_show(self->words.list[count - 1], target, sizeof(target));
    }
    if (!results_begin(set->command + strlen("weir-load "), argv) ||
        !add_words(self, set, &at) || !add_word(&at, "target", target)) {
        return LOAD_USAGE;
    }
    *at++ = "--";
    memcpy(at, self->words.list, count * sizeof(*at));
    at[count] = NULL;
    return results_exec(argv);
}

int analysis_main(int argc, char **argv, int first)
{
    static const struct {
        const struct option_set *set;
        bool (*check)(struct analysis *self);
    } commands[] = {
        {&ab_set, check_ab},       {&search_set, check_search},
        {&sweep_set, check_sweep}, {&compare_set, NULL},
        {&report_set, NULL},
    };
    struct analysis *self = calloc(1, sizeof(*self));
    int exit_code = LOAD_USAGE;
    size_t i = 0;

    if (!self) {
        say("no memory");
        return LOAD_INTERNAL;
    }
    while (strcmp(argv[first - 1],
                  commands[i].set->command + strlen("weir-load ")) != 0) {
        i++;
    }
    switch (options_read(commands[i].set, self, argc, argv, first, NULL)) {
    case OPTIONS_READY:
        if (!commands[i].check || commands[i].check(self)) {
            exit_code = hand_over(self, commands[i].set);
        }
        break;
    case OPTIONS_DONE:
        exit_code = LOAD_OK;
        break;
    default:
        break;
    }
    free(self);
    return exit_code;
}
