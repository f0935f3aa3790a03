/*
 * Doubling from below until a step fails, halving the ratio between the last
 * rate that holds and the first that does not, and at last longer runs at what
 * was found, which must all hold; else the search goes on below.
 *
 * A step that fails is made once more, and counts by its second run: on a
 * machine that has other work any single run may meet a stall.
 */
#include "search.h"

#include "command.h"
#include "exits.h"
#include "json_file.h"
#include "options_rows.h"
#include "steps.h"
#include "tools/common/console.h"
#include "tools/common/units.h"

#include "weir/task.h"

#include <errno.h>

#define SECOND         UINT64_C(1000000000)
#define STEP_MAX_NS    (60 * SECOND)
#define RATE_MAX       UINT64_C(1000000000)
#define CONFIRM_TIMES  2U
#define CONFIRM_LONGER 2U

/* So many answers must lie beyond the highest percentile of the objectives. */
#define BEYOND 50.0

struct search {
    struct command command;
    uint64_t from;
    uint64_t to;
    double precision;
    uint64_t duration_ns;
    struct steps steps;
    /* The bounds: holds at low, not at high. 0: none yet. */
    uint64_t low;
    uint64_t high;
    const struct step *failed;
    bool confirmed;
    /* Set when the run that finds the first rate had no answer. */
    bool has_failed;
};

#define RATE(field)                                                            \
    .kind = OPTION_COUNT, .least = 1, .most = RATE_MAX,                        \
    .offset = offsetof(struct search, field)

static const struct option rows[] = {
    COMMAND_SLO("objectives, as 'p99<5ms,errors<0.1%'"),
    {"from", 0, "RATE", "begin here (half of what a closed loop reaches)",
     RATE(from)},
    {"to", 0, "RATE", "do not ask for more", RATE(to)},
    {"precision", 0, "P%", "end when the bounds are as close as this",
     .kind = OPTION_SHARE, .least = 1000, .most = 1000000, .initial = "2%",
     .offset = offsetof(struct search, precision)},
    {"duration", 'd', "TIME",
     "of a step, at least (3s); longer where the percentiles of the objectives "
     "need more answers",
     .kind = OPTION_TIME, .least = SECOND / 10, .most = STEP_MAX_NS,
     .offset = offsetof(struct search, duration_ns)},
    COMMAND_SAVE,
    COMMAND_JSON("the outcome and all steps as JSON"),
    OPTION_ROW_HELP,
};

const struct option_set search_set = {
    .command = "weir-load search",
    .head =
        "Usage: weir-load search --slo EXPR [FLAGS] [FLAGS OF RUN] TARGET...\n"
        "\n"
        "Finds the largest rate at which the objectives hold, by runs at a\n"
        "constant rate. Flags of `weir-load run` hold for each of them.\n"
        "\n"
        "Example: weir-load search --slo 'p99<50ms' -c 50 "
        "tcp://127.0.0.1:7000\n"
        "\n",
    .tail = "Exit codes: 0 found, 99 the objectives hold at no rate, 2 usage,\n"
            "3 not one request succeeded, 130 interrupted.\n",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .passed = &options_set,
    .pass = command_pass,
    .word = command_take_word,
};

static uint64_t step_duration_ns(const struct search *self, uint64_t rate)
{
    uint32_t share = slo_highest_share(&self->command.slo);
    double beyond = 1 - (double)share / HISTOGRAM_WHOLE;
    double needed_ns = share ? BEYOND / beyond / (double)rate * 1e9 : 0;

    if (needed_ns > (double)STEP_MAX_NS) {
        return STEP_MAX_NS;
    }
    return needed_ns > (double)self->duration_ns ? (uint64_t)needed_ns
                                                 : self->duration_ns;
}

/* 1: it holds; 0: it does not, twice; or a negative error. */
static int try_rate(struct search *self, uint64_t rate, uint64_t longer)
{
    const struct step *step = NULL;
    int err = 0;

    for (int i = 0; i < 2; i++) {
        step = steps_measure(&self->steps, rate,
                             step_duration_ns(self, rate) * longer, &err);
        if (!step) {
            return err;
        }
        if (step->passed) {
            return 1;
        }
    }
    self->failed = step;
    return 0;
}

/* Where to begin: half of what a closed loop reaches. */
static int probe(struct search *self)
{
    struct words words = self->command.words;
    char why[SAVED_WHY_SIZE] = "";
    struct saved saved;
    char failure[STEPS_WHY_SIZE];

    if (self->from > 0) {
        return 0;
    }
    if (!words_append(&words, "-d") || !words_append(&words, "1s")) {
        return -EINVAL;
    }
    int err = child_measure(self->steps.loop, &words, &saved, why);
    if (err < 0) {
        if (err != -ECANCELED) {
            say("%s", why);
        }
        return err;
    }
    self->from = (uint64_t)(saved.achieved_rate / 2);
    self->from = self->from ? self->from : 1;
    if (saved.requests.ok == 0) {
        steps_tell_failure(&saved, failure);
        say("%s: not one request succeeded: %s",
            self->command.words.list[self->command.words.count - 1], failure);
        self->has_failed = true;
        err = -EINVAL;
    }
    saved_fini(&saved);
    return err;
}

/* The next rate, or 0 when the bounds are close enough. */
static uint64_t next_rate(const struct search *self)
{
    if (self->low == 0 && self->high == 0) {
        return self->to && self->from > self->to ? self->to : self->from;
    }
    if (self->high == 0) {
        if (self->to && self->low >= self->to) {
            return 0;
        }
        uint64_t rate = self->low * 2;
        return self->to && rate > self->to ? self->to : rate;
    }
    if (self->low == 0) {
        return self->high / 2;
    }
    double ratio = (double)self->high / (double)self->low;
    uint64_t middle = self->low + (self->high - self->low) / 2;
    /* In the middle by ratio while the bounds are far from each other, and more
     * than a few requests apart. */
    if (ratio > 1.5 && middle > self->low + 1) {
        middle = self->low + (self->high - self->low) * 2 / 5;
    }
    return ratio <= 1 + self->precision || middle == self->low ? 0 : middle;
}

static int narrow(struct search *self)
{
    for (uint64_t rate = next_rate(self); rate > 0; rate = next_rate(self)) {
        int holds = try_rate(self, rate, 1);
        if (holds < 0) {
            return holds;
        }
        if (holds) {
            self->low = rate;
        } else {
            self->high = rate;
        }
        if (rate >= RATE_MAX / 2) {
            return 0;
        }
    }
    return 0;
}

/* Longer runs; 1: all hold. */
static int confirm(struct search *self)
{
    for (unsigned i = 0; i < CONFIRM_TIMES; i++) {
        int holds = try_rate(self, self->low, CONFIRM_LONGER);
        if (holds <= 0) {
            return holds;
        }
    }
    self->confirmed = true;
    return 1;
}

static int search_loop(weir_loop *loop, void *arg)
{
    struct search *self = arg;

    self->steps.loop = loop;
    int err = probe(self);
    if (err < 0) {
        return err;
    }
    steps_print_header(&self->steps);
    err = narrow(self);
    while (err == 0 && self->low > 0) {
        err = confirm(self);
        if (err != 0) {
            break;
        }
        /* It held for a while, and not for longer: on below. */
        self->high = self->low;
        self->low = (uint64_t)((double)self->low / (1 + self->precision));
        self->low = self->low < self->high ? self->low : self->low - 1;
    }
    return err < 0 ? err : 0;
}

static void print_outcome(const struct search *self)
{
    unsigned long long low = (unsigned long long)self->low;

    if (!self->confirmed) {
        printf("Capacity    not known; %s holds at %llu/s in a short run\n",
               self->command.slo_text, low);
        return;
    }
    printf("Capacity    %llu/s: %s holds there, also in %u runs of twice the "
           "length",
           low, self->command.slo_text, CONFIRM_TIMES);
    if (self->high > 0 && self->failed) {
        printf(",\n            and does not at %llu/s (%s)",
               (unsigned long long)self->high, self->failed->why);
    } else {
        fputs(",\n            and more was not tried", stdout);
    }
    putchar('\n');
}

static bool write_json(const struct search *self)
{
    return json_file_write(
        self->command.json_path,
        json_pack(
            "{s:s, s:s, s:o, s:o, s:b, s:o}", "schema", "weir-load-search/1",
            "slo", self->command.slo_text, "capacity",
            self->low ? json_integer((json_int_t)self->low) : json_null(),
            "fails_at",
            self->high ? json_integer((json_int_t)self->high) : json_null(),
            "confirmed", self->confirmed, "steps", steps_json(&self->steps)));
}

static int make_runs(struct search *self)
{
    int err = weir_run(NULL, search_loop, self);

    if (err < 0 && err != -ECANCELED && err != -EINTR) {
        return self->has_failed ? LOAD_NOTHING : LOAD_USAGE;
    }
    if (command_prints(&self->command)) {
        if (self->low > 0) {
            print_outcome(self);
        } else {
            printf("Capacity    none: %s holds at no rate that was tried\n",
                   self->command.slo_text);
        }
    }
    if (self->command.json && !write_json(self)) {
        return LOAD_INTERNAL;
    }
    if (err < 0) {
        say("interrupted after %zu steps", self->steps.count);
        return LOAD_INTERRUPTED;
    }
    if (!steps_have_answers(&self->steps)) {
        say("%s: not one request succeeded: %s",
            self->command.words.list[self->command.words.count - 1],
            self->steps.list[0].why);
        return LOAD_NOTHING;
    }
    return self->low > 0 ? LOAD_OK : LOAD_SLO;
}

static bool prepare(struct search *self)
{
    if (!self->command.slo_text) {
        say("--slo must say what shall hold, as in --slo 'p99<10ms' (see "
            "weir-load search --help)");
        return false;
    }
    if (option_is_given(&self->command.passed, "rate")) {
        say("-R: search chooses the rates; --from says where it begins");
        return false;
    }
    if (self->command.words.count == 0) {
        say("no target (see weir-load search --help)");
        return false;
    }
    self->steps.flag = "-R";
    self->steps.command = &self->command;
    return true;
}

static void start(void *options)
{
    struct search *self = options;

    self->duration_ns = 3 * SECOND;
}

static int run(void *options)
{
    struct search *self = options;

    return prepare(self) ? make_runs(self) : LOAD_USAGE;
}

int search_main(int argc, char **argv, int first)
{
    static const struct command_kind kind = {
        .set = &search_set,
        .size = sizeof(struct search),
        .start = start,
        .run = run,
    };

    return command_main(&kind, argc, argv, first);
}
