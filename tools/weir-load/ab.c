/*
 * Which of a pair runs first is drawn by lot for each pair, since the second
 * may find something warm or worn out. The lot is also what the statistics of
 * pairs rest on (statistics.h).
 *
 * A signal ends the run under way; the pairs until then are compared.
 */
#include "ab.h"

#include "child.h"
#include "comparison.h"
#include "options_rows.h"
#include "redis_url.h"
#include "split.h"
#include "tools/common/console.h"
#include "tools/common/units.h"
#include "tools/load/payload.h"

#include "weir/task.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Room for the flags and the target of a side. */
#define NAME_SIZE 512U

struct side {
    struct split flags; /* of --a-flags or --b-flags */
    struct option_list passed;
    const char *target;
    char name[NAME_SIZE];
    struct words words; /* of a run */
};

struct ab {
    struct comparison_options options;
    uint64_t pairs;
    size_t target_count;
    struct side sides[2];
    struct comparison comparison;
    /* Of a run that failed, and why. */
    enum load_exit failure;
    char why[SAVED_WHY_SIZE];
};

/* The flags of a side, which are read again when all are there. */
static bool read_flags(void *options, const struct option *option,
                       const char *value, char *why)
{
    struct ab *self = options;

    return split_text(value, &self->sides[option->name[0] == 'b'].flags, why);
}

static bool take_target(void *options, const char *text, char *why)
{
    ((struct ab *)options)->target_count++;
    return command_take_word(options, text, why);
}

/* The comparison's options are the first member. */
static const struct option rows[] = {
    {"runs", 0, "N", "pairs of runs", .kind = OPTION_COUNT, .least = 6,
     .most = STATISTICS_RUNS_MAX, .initial = "20",
     .offset = offsetof(struct ab, pairs)},
    {"a-flags", 0, "'FLAGS'", "flags of run for A alone, as '-p 4 -H \"X: 1\"'",
     .read = read_flags},
    {"b-flags", 0, "'FLAGS'", "flags of run for B alone", .read = read_flags},
    COMPARISON_ROWS("go on after runs that failed; runs have it, too",
                    "pass|fail|until=T",
                    "what \"cannot tell\" ends with: 0 or 5 (fail); until=5m "
                    "makes more pairs before, until=5m,pass ends with 0 then"),
    COMMAND_SAVE,
    COMMAND_JSON("the comparison as JSON"),
    COMMAND_SEED("of the order of each pair (random)"),
    OPTION_ROW_HELP,
};

const struct option_set ab_set = {
    .command = "weir-load ab",
    .head =
        "Usage: weir-load ab [FLAGS] [FLAGS OF RUN] A [B]\n"
        "\n"
        "Loads the targets A and B in turn, in pairs of short runs, and says\n"
        "whether B does better, worse or the same. Flags of `weir-load run` "
        "hold\n"
        "for both, and --a-flags and --b-flags for one; with these one target "
        "does for\n"
        "both. A run takes 1s after a warm-up of 200ms unless they say "
        "otherwise.\n"
        "\n"
        "Example: weir-load ab -c 20 tcp://127.0.0.1:7000 "
        "tcp://127.0.0.1:7001\n"
        "         weir-load ab -c 20 --b-flags '-p 4' tcp://127.0.0.1:7000\n"
        "\n",
    .tail = "Exit codes: 0 no difference or better, 99 worse, 5 cannot tell; 2 "
            "usage,\n"
            "3 or 4 a run failed, 130 interrupted.\n",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .passed = &options_set,
    .pass = command_pass,
    .word = take_target,
};

/* ---- the words of runs ---- */

static bool refuse_word(void *options, const char *text, char *why)
{
    char shown[256];

    (void)options;
    return option_refuse(why, "'%.200s' is no flag; targets stand at the end",
                         redis_url_show(text, shown, sizeof(shown)));
}

/* Flags of one side may be those of runs alone. */
static bool look_at_flags(struct side *side)
{
    static const struct option_set set = {
        .command = "weir-load run",
        .passed = &options_set,
        .pass = command_pass,
        .word = refuse_word,
    };
    char *argv[SPLIT_WORDS_MAX];
    struct command *flags = calloc(1, sizeof(*flags));

    if (!flags) {
        say("no memory");
        return false;
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

/* Does a flag of this name hold for the side? */
static bool has_flag(const struct ab *self, const struct side *side,
                     const char *name)
{
    return option_is_given(&self->options.command.passed, name) ||
           option_is_given(&side->passed, name);
}

static bool append(struct words *words, const char *const *list, size_t count)
{
    bool is_good = true;

    for (size_t i = 0; i < count && is_good; i++) {
        is_good = words_append(words, list[i]);
    }
    return is_good;
}

/* Which side it is, as people would write it. */
static void name_side(struct side *side)
{
    size_t len = 0;

    for (size_t i = 0; i < side->flags.count && len < NAME_SIZE; i++) {
        const char *word = side->flags.words[i];
        const char *secret =
            preamble_find_secret((char **)side->flags.words, (int)i);
        len += (size_t)snprintf(
            side->name + len, NAME_SIZE - len, "%.*s%s ",
            (int)(secret ? (size_t)(secret - word) : strlen(word)), word,
            secret ? "..." : "");
    }
    if (len < NAME_SIZE) {
        redis_url_show(side->target, side->name + len, NAME_SIZE - len);
    }
}

/* The words of a side's runs: those of both, its own, and its target. */
static bool prepare_side(const struct ab *self, struct side *side)
{
    static const char *const duration[] = {"-d", "1s"};
    static const char *const warmup[] = {"-w", "200ms"};
    const struct words *both = &self->options.command.words;
    const bool has_end =
        has_flag(self, side, "duration") || has_flag(self, side, "requests") ||
        has_flag(self, side, "stages") || has_flag(self, side, "conn-stages") ||
        has_flag(self, side, "replay");
    const bool has_warmup =
        has_flag(self, side, "warmup") || has_flag(self, side, "replay");
    struct words *words = &side->words;

    name_side(side);
    return append(words, both->list, both->count) &&
           (has_end || append(words, duration, 2)) &&
           (has_warmup || append(words, warmup, 2)) &&
           (!self->options.force || words_append(words, "--force")) &&
           append(words, side->flags.words, side->flags.count) &&
           words_append(words, side->target) &&
           !command_refuses_once(words, "ab");
}

static bool prepare(struct ab *self)
{
    struct words *words = &self->options.command.words;
    const bool has_flags =
        self->sides[0].flags.count + self->sides[1].flags.count > 0;

    if (self->target_count != 2 && !(self->target_count == 1 && has_flags)) {
        say("write two targets, A and B (see weir-load ab --help)");
        return false;
    }
    self->sides[1].target = words->list[words->count - 1];
    self->sides[0].target = words->list[words->count - self->target_count];
    words->count -= self->target_count;
    self->comparison.command = "ab";
    self->comparison.is_paired = true;
    self->comparison.looks = 1;
    for (uint64_t count = self->pairs;
         self->options.until_ns > 0 && count < STATISTICS_RUNS_MAX;
         count *= 2) {
        self->comparison.looks++;
    }
    for (size_t i = 0; i < 2; i++) {
        if (!look_at_flags(&self->sides[i]) ||
            !prepare_side(self, &self->sides[i])) {
            return false;
        }
        self->comparison.names[i] = self->sides[i].name;
    }
    return true;
}

/* ---- runs ---- */

/* Why there is no result, on standard error and in the files of a pipeline. */
__attribute__((format(printf, 2, 3))) static void tell(struct ab *self,
                                                       const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(self->why, sizeof(self->why), format, args);
    va_end(args);
    child_show_progress(" ");
    say("%s", self->why);
}

/* Did the run show what it should? */
static bool check(struct ab *self, size_t side, const struct saved *saved)
{
    if (saved->exit_code == LOAD_OK || saved->exit_code == LOAD_SLO ||
        self->options.force) {
        return true;
    }
    const json_t *reason =
        json_array_get(json_object_get(saved->object, "invalid_reasons"), 0);
    tell(self, "a run of %c, %s: %s%s%s; --force goes on", "AB"[side],
         self -> sides[side].name, saved->verdict, reason ? ": " : "",
         reason ? json_string_value(reason) : "");
    self->failure = (enum load_exit)saved->exit_code;
    return false;
}

/* 0 or a negative error, after a line unless it is -ECANCELED. */
static int measure(weir_loop *loop, struct ab *self, size_t side)
{
    const char *save = self->options.command.save;
    char why[SAVED_WHY_SIZE] = "";
    char name[32];
    struct saved saved;

    int err = child_measure(loop, &self->sides[side].words, &saved, why);
    if (err < 0) {
        if (err != -ECANCELED) {
            tell(self, "%s", why);
        }
        return err;
    }
    snprintf(name, sizeof(name), "%c-%03zu", "ab"[side],
             self -> comparison.counts[side] + 1);
    if (save) {
        err = saved_write(&saved, save, name, why);
    }
    if (err < 0) {
        tell(self, "--save: %s", why);
    } else if (!check(self, side, &saved)) {
        err = -EINVAL;
    } else {
        comparison_add(&self->comparison, side, &saved);
    }
    saved_fini(&saved);
    return err;
}

static int measure_pair(weir_loop *loop, struct ab *self, uint64_t index)
{
    const size_t first = payload_mix(self->options.command.seed + index) & 1;

    const int err = measure(loop, self, first);
    return err < 0 ? err : measure(loop, self, 1 - first);
}

/* Pairs up to this number; fewer where the time is over. */
static int measure_up_to(weir_loop *loop, struct ab *self, uint64_t pairs,
                         uint64_t begin_ns)
{
    int err = 0;

    for (uint64_t i = self->comparison.counts[0]; i < pairs && err == 0; i++) {
        const uint64_t passed_ns = weir_loop_get_time(loop) - begin_ns;
        if (i >= self->pairs && passed_ns >= self->options.until_ns) {
            break;
        }
        child_show_progress(
            "pair %llu of %llu, about %.0f s left", (unsigned long long)i + 1,
            (unsigned long long)pairs,
            i ? (double)passed_ns / 1e9 / (double)i * (double)(pairs - i) : 0);
        err = measure_pair(loop, self, i);
    }
    return err;
}

/* While nothing can be told and there is time, twice as many. */
static int measure_pairs(weir_loop *loop, void *arg)
{
    struct ab *self = arg;
    const uint64_t begin_ns = weir_loop_get_time(loop);
    uint64_t pairs = self->pairs;
    bool goes_on = true;
    int err = 0;

    while (goes_on && err == 0) {
        err = measure_up_to(loop, self, pairs, begin_ns);
        goes_on =
            self->comparison.counts[0] == pairs &&
            pairs < STATISTICS_RUNS_MAX &&
            weir_loop_get_time(loop) - begin_ns < self->options.until_ns &&
            comparison_is_undecided(&self->comparison, &self->options);
        pairs =
            2 * pairs < STATISTICS_RUNS_MAX ? 2 * pairs : STATISTICS_RUNS_MAX;
    }
    child_show_progress(" ");
    return err;
}

/* Of a pair that was cut the half that there is tells nothing. */
static void drop_half(struct comparison *comparison)
{
    size_t *counts = comparison->counts;
    size_t fewer = counts[0] < counts[1] ? counts[0] : counts[1];

    counts[0] = fewer;
    counts[1] = fewer;
}

/* The pairs until a signal. */
static int end_early(struct ab *self)
{
    struct comparison *comparison = &self->comparison;

    snprintf(self->why, sizeof(self->why), "interrupted after %zu pairs",
             comparison->counts[0]);
    comparison->cut = self->why;
    const bool is_written =
        comparison->counts[0] > 0
            ? comparison_finish(comparison, &self->options) != LOAD_INTERNAL
            : comparison_give_up(comparison, LOAD_INTERRUPTED, self->why);
    say("%s", self->why);
    return is_written ? LOAD_INTERRUPTED : LOAD_INTERNAL;
}

static int compare_pairs(struct ab *self)
{
    int err = weir_run(NULL, measure_pairs, self);

    drop_half(&self->comparison);
    if (err == -ECANCELED || err == -EINTR) {
        return end_early(self);
    }
    if (err < 0) {
        const enum load_exit exit_code =
            self->failure ? self->failure : LOAD_USAGE;
        return comparison_give_up(&self->comparison, exit_code, self->why)
                   ? (int)exit_code
                   : LOAD_INTERNAL;
    }
    return (int)comparison_finish(&self->comparison, &self->options);
}

static void start(void *options)
{
    struct ab *self = options;
    uint64_t *seed = &self->options.command.seed;

    if (getrandom(seed, sizeof(*seed), GRND_NONBLOCK) < 0) {
        *seed = 1;
    }
}

static int run(void *options)
{
    struct ab *self = options;

    int exit_code = LOAD_USAGE;

    if (comparison_check(&self->options) && prepare(self) &&
        comparison_open(&self->comparison, &self->options)) {
        exit_code = compare_pairs(self);
    }
    comparison_drop(&self->comparison);
    return exit_code;
}

int ab_main(int argc, char **argv, int first)
{
    static const struct command_kind kind = {
        .set = &ab_set,
        .size = sizeof(struct ab),
        .start = start,
        .run = run,
    };

    return command_main(&kind, argc, argv, first);
}
