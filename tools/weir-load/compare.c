/*
 * Files are read one after the other and their figures kept; a result itself is
 * not.
 *
 * Runs that did not do the same, or did not do it well, are not compared
 * without --force.
 */
#include "compare.h"

#include "comparison.h"
#include "tools/common/console.h"

#include <string.h>

struct compare {
    struct comparison_options options;
    struct comparison comparison;
    /* Of the first run. */
    char config_hash[32];
};

/* The options are the first member. */
static const struct option rows[] = {
    COMPARISON_ROWS("compare runs that did not do the same, or failed",
                    "pass|fail",
                    "what \"cannot tell\" ends with: 0 or 5 (fail)"),
    COMMAND_JSON("the comparison as JSON"),
    OPTION_ROW_HELP,
};

const struct option_set compare_set = {
    .command = "weir-load compare",
    .head = "Usage: weir-load compare [FLAGS] A.json... -- B.json...\n"
            "\n"
            "Compares runs that were saved with --json: did B do better than "
            "A, worse,\n"
            "or the same? Four runs of each are needed at least, since each "
            "run is one\n"
            "sample; ab makes pairs of runs, which tell more. Files with "
            "commas between\n"
            "them are parts of one run, and are merged.\n"
            "\n"
            "Example: weir-load compare old1.json old2.json old3.json "
            "old4.json -- \\\n"
            "             new1.json new2.json new3.json new4.json\n"
            "\n",
    .tail = "Exit codes: 0 no difference or better, 99 worse, 5 cannot tell, 2 "
            "usage.\n",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .has_sides = true,
    .word = command_take_word,
};

/* May this run be compared with those before? */
static bool check(struct compare *self, const struct saved *saved)
{
    if (self->config_hash[0] == '\0') {
        snprintf(self->config_hash, sizeof(self->config_hash), "%s",
                 saved->config_hash);
    }
    if (self->options.force) {
        return true;
    }
    if (strcmp(self->config_hash, saved->config_hash) != 0) {
        say("%s: a run with other options than the first; --force compares all "
            "the same",
            saved->name);
        return false;
    }
    if (saved->exit_code != LOAD_OK && saved->exit_code != LOAD_SLO) {
        say("%s: its verdict is %s; --force compares all the same", saved->name,
            saved->verdict);
        return false;
    }
    return true;
}

static bool add_file(struct compare *self, size_t side, const char *paths)
{
    char why[SAVED_WHY_SIZE];
    struct saved saved;

    if (self->comparison.counts[side] == STATISTICS_RUNS_MAX) {
        say("more than %u runs", STATISTICS_RUNS_MAX);
        return false;
    }
    if (saved_read(paths, self->options.force, &saved, why) < 0) {
        say("%s", why);
        return false;
    }
    bool can = check(self, &saved);
    if (can) {
        comparison_add(&self->comparison, side, &saved);
    }
    saved_fini(&saved);
    return can;
}

static bool add_files(struct compare *self)
{
    size_t side = 0;

    for (size_t i = 0; i < self->options.command.words.count; i++) {
        const char *word = self->options.command.words.list[i];
        if (strcmp(word, "--") == 0 && side == 0) {
            side = 1;
        } else if (!add_file(self, side, word)) {
            return false;
        } else if (self->comparison.counts[side] == 1) {
            self->comparison.names[side] = word;
        }
    }
    if (self->comparison.counts[0] == 0 || self->comparison.counts[1] == 0) {
        say("write A.json... -- B.json... (see weir-load compare --help)");
        return false;
    }
    return true;
}

static int run(void *options)
{
    struct compare *self = options;

    int exit_code = LOAD_USAGE;

    self->comparison.command = "compare";
    self->comparison.looks = 1;
    if (comparison_check(&self->options) && add_files(self) &&
        comparison_open(&self->comparison, &self->options)) {
        exit_code = (int)comparison_finish(&self->comparison, &self->options);
    }
    comparison_drop(&self->comparison);
    return exit_code;
}

int compare_main(int argc, char **argv, int first)
{
    static const struct command_kind kind = {
        .set = &compare_set,
        .size = sizeof(struct compare),
        .run = run,
    };

    return command_main(&kind, argc, argv, first);
}
