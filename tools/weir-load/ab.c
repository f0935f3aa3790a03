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
#include "tools/common/console.h"
#include "tools/common/units.h"
#include "tools/load/payload.h"

#include "weir/task.h"

#include <errno.h>
#include <sys/random.h>

struct ab {
    struct comparison_options options;
    uint64_t pairs;
    const char *targets[2];
    struct comparison comparison;
    /* Of a run that failed. */
    enum load_exit failure;
};

/* The comparison's options are the first member. */
static const struct option rows[] = {
    {"runs", 0, "N", "pairs of runs", .kind = OPTION_COUNT, .least = 6,
     .most = STATISTICS_RUNS_MAX, .initial = "20",
     .offset = offsetof(struct ab, pairs)},
    COMPARISON_ROWS("go on after runs that failed; runs have it, too"),
    COMMAND_SAVE,
    COMMAND_JSON("the comparison as JSON"),
    COMMAND_SEED("of the order of each pair (random)"),
    OPTION_ROW_HELP,
};

const struct option_set ab_set = {
    .command = "weir-load ab",
    .head =
        "Usage: weir-load ab [FLAGS] [FLAGS OF RUN] A B\n"
        "\n"
        "Loads the targets A and B in turn, in pairs of short runs, and says\n"
        "whether B does better, worse or the same. Flags of `weir-load run` "
        "hold\n"
        "for both; a run takes 1s after a warm-up of 200ms unless they say\n"
        "otherwise.\n"
        "\n"
        "Example: weir-load ab -c 20 tcp://127.0.0.1:7000 "
        "tcp://127.0.0.1:7001\n"
        "\n",
    .tail = "Exit codes: 0 no difference or better, 99 worse, 5 cannot tell; 2 "
            "usage,\n"
            "3 or 4 a run failed, 130 interrupted.\n",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .passed = &options_set,
    .pass = command_pass,
    .word = command_take_word,
};

/* The words of both, in which the last is the target of a side. */
static bool prepare(struct ab *self)
{
    struct words *words = &self->options.command.words;

    if (words->count < 2 || words->list[words->count - 2][0] == '-' ||
        words->list[words->count - 1][0] == '-') {
        say("write two targets, A and B (see weir-load ab --help)");
        return false;
    }
    self->targets[0] = words->list[words->count - 2];
    self->targets[1] = words->list[words->count - 1];
    self->comparison.names[0] = self->targets[0];
    self->comparison.names[1] = self->targets[1];
    self->comparison.is_paired = true;
    words->count -= 2;
    const struct option_list *passed = &self->options.command.passed;
    bool has_end = option_is_given(passed, "duration") ||
                   option_is_given(passed, "requests");
    if (!has_end &&
        (!words_append(words, "-d") || !words_append(words, "1s"))) {
        return false;
    }
    if (!option_is_given(passed, "warmup") &&
        (!words_append(words, "-w") || !words_append(words, "200ms"))) {
        return false;
    }
    if (self->options.force && !words_append(words, "--force")) {
        return false;
    }
    return words_append(words, self->targets[0]);
}

/* Did the run show what it should? */
static bool check(struct ab *self, size_t side, const struct saved *saved)
{
    if (saved->exit_code == LOAD_OK || saved->exit_code == LOAD_SLO ||
        self->options.force) {
        return true;
    }
    child_show_progress(" ");
    const json_t *reason =
        json_array_get(json_object_get(saved->object, "invalid_reasons"), 0);
    say("a run of %c, %s: %s%s%s; --force goes on", "AB"[side],
        self -> targets[side], saved -> verdict, reason ? ": " : "",
        reason ? json_string_value(reason) : "");
    self->failure = (enum load_exit)saved->exit_code;
    return false;
}

/* 0 or a negative error, after a line unless it is -ECANCELED. */
static int measure(weir_loop *loop, struct ab *self, size_t side)
{
    struct words *words = &self->options.command.words;
    const char *save = self->options.command.save;
    char why[SAVED_WHY_SIZE] = "";
    char name[32];
    struct saved saved;

    words->list[words->count - 1] = self->targets[side];
    int err = child_measure(loop, words, &saved, why);
    if (err < 0) {
        if (err != -ECANCELED) {
            child_show_progress(" ");
            say("%s", why);
        }
        return err;
    }
    snprintf(name, sizeof(name), "%c-%03zu", "ab"[side],
             self -> comparison.counts[side] + 1);
    if (save) {
        err = saved_write(&saved, save, name, why);
    }
    if (err < 0) {
        say("--save: %s", why);
    } else if (!check(self, side, &saved)) {
        err = -EINVAL;
    } else {
        comparison_add(&self->comparison, side, &saved);
    }
    saved_fini(&saved);
    return err;
}

static int measure_pairs(weir_loop *loop, void *arg)
{
    struct ab *self = arg;
    uint64_t begin_ns = weir_loop_get_time(loop);
    int err = 0;

    for (uint64_t i = 0; i < self->pairs && err == 0; i++) {
        size_t first = payload_mix(self->options.command.seed + i) & 1;
        uint64_t passed_ns = weir_loop_get_time(loop) - begin_ns;
        child_show_progress(
            "pair %llu of %llu, about %.0f s left", (unsigned long long)i + 1,
            (unsigned long long)self->pairs,
            i ? (double)passed_ns / 1e9 / (double)i * (double)(self->pairs - i)
              : 0);
        err = measure(loop, self, first);
        if (err == 0) {
            err = measure(loop, self, 1 - first);
        }
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

static int compare_pairs(struct ab *self)
{
    int err = weir_run(NULL, measure_pairs, self);

    drop_half(&self->comparison);
    if (err < 0 && err != -ECANCELED && err != -EINTR) {
        return self->failure ? (int)self->failure : LOAD_USAGE;
    }
    enum load_exit exit_code = LOAD_OK;
    if (self->comparison.counts[0] > 0) {
        exit_code = comparison_finish(&self->comparison, &self->options);
    }
    if (err < 0) {
        say("interrupted after %zu pairs", self->comparison.counts[0]);
        return LOAD_INTERRUPTED;
    }
    return (int)exit_code;
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

    return prepare(self) ? compare_pairs(self) : LOAD_USAGE;
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
