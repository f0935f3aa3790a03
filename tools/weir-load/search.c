/*
 * Doubling from below until a step fails, twice; then runs near the place where
 * half of them fail, whose interval all runs together tell (threshold.h), until
 * that is narrow. Near the end they are longer.
 *
 * A run that passes has shown the rate that it achieved, which may be a little
 * less than it asked for. So may be what the server carries for ever: a queue
 * that grows by less than a hundredth of the rate is not seen in a run, and the
 * lower end of the interval is a hundredth lower for that.
 */
#include "search.h"

#include "command.h"
#include "exits.h"
#include "json_file.h"
#include "options_rows.h"
#include "steps.h"
#include "threshold.h"
#include "tools/common/console.h"
#include "tools/common/units.h"

#include "weir/task.h"

#include <errno.h>
#include <math.h>

#define SECOND      UINT64_C(1000000000)
#define STEP_MAX_NS (60 * SECOND)
#define RATE_MAX    UINT64_C(1000000000)
/* Runs that narrow the interval, and how much longer the last ones are. */
#define NARROW_RUNS   40U
#define NARROW_LONGER 2U

#define LEVEL 0.95

/* What is asked for and not carried, and is not seen in a run. */
#define UNSEEN_SHARE 0.01

/* The threshold may be so many times lower or higher than the bounds. */
#define BOUNDS_MAY_ERR 1.5

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
    struct threshold threshold;
    /* The ends of the interval, as runs show them, and its middle. */
    double first;
    double last;
    double middle;
    bool is_narrow;
    bool was_interrupted;
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
    {"precision", 0, "P%", "end when the interval is as narrow as this",
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

/* A run; NULL with a negative error. */
static const struct step *measure(struct search *self, uint64_t rate,
                                  uint64_t longer, int *ret_err)
{
    return steps_measure(&self->steps, rate,
                         step_duration_ns(self, rate) * longer, ret_err);
}

/* 1: it holds; 0: it does not, twice; or a negative error. */
static int try_rate(struct search *self, uint64_t rate)
{
    int err = 0;

    for (int i = 0; i < 2; i++) {
        const struct step *step = measure(self, rate, 1, &err);
        if (!step) {
            return err;
        }
        if (step->passed) {
            return 1;
        }
    }
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
        steps_say_none(&self->command.words, failure);
        self->has_failed = true;
        err = -EINVAL;
    }
    saved_fini(&saved);
    return err;
}

static uint64_t at_most(const struct search *self, uint64_t rate)
{
    return self->to && rate > self->to ? self->to : rate;
}

/* Rates that are twice as large as the one before, or half of it, until one
 * holds and another does not. */
static int find_bounds(struct search *self)
{
    uint64_t rate = at_most(self, self->from);

    while (rate > 0 && rate < RATE_MAX / 2 && rate != self->low) {
        int holds = try_rate(self, rate);
        if (holds < 0) {
            return holds;
        }
        *(holds ? &self->low : &self->high) = rate;
        if (self->low > 0 && self->high > 0) {
            return 0;
        }
        rate = holds ? at_most(self, rate * 2) : rate / 2;
    }
    return 0;
}

static void learn(struct search *self, const struct step *step)
{
    const double asked = (double)step->load;
    const double least = asked * (1 - UNSEEN_SHARE);
    double rate = asked;

    if (step->passed && step->achieved_rate < asked) {
        rate = step->achieved_rate > least ? step->achieved_rate : least;
    }
    threshold_add(&self->threshold, rate, step->passed);
    self->first = threshold_quantile(&self->threshold, (1 - LEVEL) / 2);
    self->last = threshold_quantile(&self->threshold, (1 + LEVEL) / 2);
    self->is_narrow = self->last <= self->first * (1 + self->precision) ||
                      floor(self->last) <= floor(self->first);
}

/* Near the threshold, and a little to its sides when it is nearly known: that
 * is where runs tell most of it and of its width. */
static uint64_t next_rate(const struct search *self, bool is_near,
                          unsigned number)
{
    const double share = !is_near ? 0.5 : number % 2 ? 0.3 : 0.7;
    const double rate = threshold_quantile(&self->threshold, share);
    const uint64_t next = at_most(self, (uint64_t)(rate + 0.5));

    return next > 0 ? next : 1;
}

static int narrow(struct search *self)
{
    int err = 0;

    threshold_init(&self->threshold, (double)self->low / BOUNDS_MAY_ERR,
                   (double)self->high * BOUNDS_MAY_ERR, self->precision / 8);
    for (size_t i = 0; i < self->steps.count; i++) {
        learn(self, &self->steps.list[i]);
    }
    for (unsigned i = 0; i < NARROW_RUNS && !self->is_narrow; i++) {
        const bool is_near =
            self->last < self->first * (1 + 4 * self->precision);
        const struct step *step = measure(self, next_rate(self, is_near, i),
                                          is_near ? NARROW_LONGER : 1, &err);
        if (!step) {
            return err;
        }
        learn(self, step);
    }
    return 0;
}

/* What is told of the threshold: whole rates. */
static void settle(struct search *self)
{
    if (self->low > 0 && self->last > 0) {
        self->first *= 1 - UNSEEN_SHARE;
        self->low = self->first >= 1 ? (uint64_t)self->first : 1;
        self->high = (uint64_t)ceil(self->last);
        self->middle = sqrt(self->first * self->last);
    } else {
        self->middle = (double)self->low;
    }
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
    err = find_bounds(self);
    if (err == 0 && self->low > 0 && self->high > 0) {
        err = narrow(self);
    }
    settle(self);
    return err;
}

/* The failure at the lowest rate that is above the middle, or NULL. */
static const struct step *find_failed(const struct search *self)
{
    const struct step *found = NULL;

    for (size_t i = 0; i < self->steps.count; i++) {
        const struct step *step = &self->steps.list[i];
        if (!step->passed && (double)step->load >= self->middle &&
            (!found || step->load < found->load)) {
            found = step;
        }
    }
    return found;
}

/* No rate is known at which it holds. */
static void print_none(const struct search *self)
{
    const char *slo = self->command.slo_text;

    if (!self->was_interrupted) {
        printf("Capacity    none: %s holds at no rate that was tried\n", slo);
    } else if (self->high > 0) {
        printf(
            "Capacity    not known: interrupted; %s does not hold at %llu/s, "
            "and lower rates were not tried enough\n",
            slo, (unsigned long long)self->high);
    } else {
        printf("Capacity    not known: interrupted before a rate was tried "
               "enough\n");
    }
}

static const char *explain_width(const struct search *self)
{
    if (self->is_narrow) {
        return "\n";
    }
    return self->was_interrupted
               ? "\n            The search was interrupted before the interval "
                 "was as narrow as --precision\n"
               : "\n            The runs differ too much for an interval as "
                 "narrow as --precision; longer ones (-d) differ less\n";
}

static void print_outcome(const struct search *self)
{
    const unsigned long long low = (unsigned long long)self->low;
    const struct step *failed = find_failed(self);

    if (self->last <= 0) {
        printf("Capacity    %llu/s or more: %s holds there, and %s\n", low,
               self->command.slo_text,
               self->was_interrupted ? "the search was interrupted"
                                     : "more was not tried");
        return;
    }
    printf("Capacity    %.0f/s; between %llu/s and %llu/s at 95 %%: %s holds "
           "below, and not above",
           self->middle, low, (unsigned long long)self->high,
           self->command.slo_text);
    if (failed) {
        printf("\n            (%llu/s: %s)", (unsigned long long)failed->load,
               failed->why);
    }
    fputs(explain_width(self), stdout);
}

static json_t *rate_or_null(double rate)
{
    return rate > 0 ? json_integer((json_int_t)(rate + 0.5)) : json_null();
}

static bool write_json(const struct search *self)
{
    return json_file_write(
        self->command.json_path,
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:f, s:b, s:b, s:o}", "schema",
                  "weir-load-search/2", "slo", self->command.slo_text,
                  "capacity", rate_or_null(self->middle), "low",
                  rate_or_null((double)self->low), "high",
                  rate_or_null((double)self->high), "level", LEVEL, "narrow",
                  self->is_narrow, "interrupted", self->was_interrupted,
                  "steps", steps_json(&self->steps)));
}

static int make_runs(struct search *self)
{
    int err = weir_run(NULL, search_loop, self);

    if (err < 0 && err != -ECANCELED && err != -EINTR) {
        return self->has_failed ? LOAD_NOTHING : LOAD_USAGE;
    }
    self->was_interrupted = err < 0;
    if (command_prints(&self->command) && self->low > 0) {
        print_outcome(self);
    } else if (command_prints(&self->command)) {
        print_none(self);
    }
    if (self->command.json && !write_json(self)) {
        return LOAD_INTERNAL;
    }
    if (err < 0) {
        say("interrupted after %zu steps", self->steps.count);
        return LOAD_INTERRUPTED;
    }
    if (!steps_have_answers(&self->steps)) {
        steps_say_none(&self->command.words, self->steps.list[0].why);
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
    if (option_is_given(&self->command.passed, "conn-stages")) {
        say("--conn-stages: each run of a search has one number of "
            "connections; see -c");
        return false;
    }
    if (self->command.words.count == 0) {
        say("no target (see weir-load search --help)");
        return false;
    }
    if (command_refuses_once(&self->command.words, "search")) {
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
