/*
 * All results are in memory at once: a plot of several runs needs them all.
 *
 * With --json what was merged from its parts is written as a result, which all
 * commands read.
 */
#include "draw.h"

#include "command.h"
#include "draw_svg.h"
#include "exits.h"
#include "json_file.h"
#include "page.h"
#include "tools/common/console.h"
#include "whole_file.h"

#include <stdlib.h>
#include <string.h>

struct draw {
    struct command command;
    const char *output;
    const char *title;
    const char *svg;
    bool force; /* merge what is no run */
    size_t count;
    struct saved *runs;
};

static const struct option rows[] = {
    {"output", 'o', "FILE", "where the page goes", .kind = OPTION_TEXT,
     .offset = offsetof(struct draw, output)},
    {"title", 0, "TEXT", "of the page", .kind = OPTION_TEXT,
     .initial = "Load report", .offset = offsetof(struct draw, title)},
    {"svg", 0, "FILE|DIR",
     "write the plots alone: to FILE.svg, or to a file each in a directory",
     .kind = OPTION_TEXT, .offset = offsetof(struct draw, svg)},
    {"json", 'j', "FILE", "write the one result, merged from its parts",
     .read = command_read_json},
    {"force", 0, NULL, "merge results that are not all parts of one run",
     .kind = OPTION_SWITCH, .offset = offsetof(struct draw, force)},
    OPTION_ROW_HELP,
};

const struct option_set draw_set = {
    .command = "weir-load report",
    .head = "Usage: weir-load report -o PAGE.html [FLAGS] RESULT.json...\n"
            "\n"
            "Draws results that were saved with --json as one page of HTML: "
            "latency by\n"
            "percentile and against rate; rate, latency, a heat map of all "
            "latencies\n"
            "and errors by kind over time; how the runs were judged; and the\n"
            "environment. It needs no network and has no scripts.\n"
            "Files with commas between them are parts of one run, and are "
            "merged; - is\n"
            "standard input, out of whose lines it takes the results.\n"
            "The exit code is then that of the merged result's verdict.\n"
            "\n"
            "Example: weir-load report -o page.html run.json\n"
            "\n",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .word = command_take_word,
};

static bool check(const struct draw *self)
{
    if (!self->output && !self->svg && !self->command.json) {
        say("-o must say where the page goes (see weir-load report --help)");
        return false;
    }
    if (self->command.words.count == 0) {
        say("no result (see weir-load report --help)");
        return false;
    }
    if (self->command.json && self->command.words.count > 1) {
        say("--json: write the parts of one run with commas between them");
        return false;
    }
    return true;
}

static bool write_page(const struct draw *self)
{
    struct whole_file file;

    if (!whole_file_open(&file, "-o", self->output)) {
        return false;
    }
    int err = page_write(self->runs, self->count, self->title, file.file);
    if (err < 0) {
        say("-o: %s: %s", self->output, strerror(-err));
        whole_file_drop(&file);
    }
    if (err < 0 || !whole_file_keep(&file)) {
        return false;
    }
    if (command_prints(&self->command) && !whole_file_is_stdout(self->output)) {
        printf("%s\n", self->output);
    }
    return true;
}

/* A text of a file of others. */
static void print_text(const char *text)
{
    char line[256];

    snprintf(line, sizeof(line), "%s", text ? text : "?");
    console_clean(line);
    fputs(line, stdout);
}

static void print_objective(const json_t *term)
{
    print_text(json_string_value(json_object_get(term, "expr")));
    printf(" %s\n", json_is_true(json_object_get(term, "pass")) ? "holds"
                    : json_is_null(json_object_get(term, "value"))
                        ? "is not known"
                        : "DOES NOT HOLD");
}

/* What was made of parts has a verdict that none of them could have. */
static int tell_merged(const struct draw *self)
{
    const struct saved *run = &self->runs[0];
    const json_t *list = json_object_get(run->object, "slo");
    const size_t count = json_array_size(json_object_get(run->object, "parts"));

    if (self->count > 1 || count == 0) {
        return LOAD_OK;
    }
    if (command_prints(&self->command)) {
        for (size_t i = 0; i < json_array_size(list); i++) {
            print_objective(json_array_get(list, i));
        }
        printf("%zu parts together: ", count);
        print_text(run->verdict);
        putchar('\n');
    }
    return run->exit_code;
}

static int draw(struct draw *self)
{
    char why[SAVED_WHY_SIZE];

    self->runs = calloc(self->command.words.count, sizeof(*self->runs));
    if (!self->runs) {
        say("no memory");
        return LOAD_INTERNAL;
    }
    for (size_t i = 0; i < self->command.words.count; i++) {
        if (saved_read(self->command.words.list[i], self->force, &self->runs[i],
                       why) < 0) {
            say("%s", why);
            return LOAD_USAGE;
        }
        self->count++;
    }
    if (self->command.json &&
        !json_file_write(self->command.json_path,
                         json_incref(self->runs[0].object))) {
        return LOAD_INTERNAL;
    }
    if (self->output && !write_page(self)) {
        return LOAD_INTERNAL;
    }
    if (self->svg && !draw_svg(self->runs, self->count, self->svg,
                               command_prints(&self->command))) {
        return LOAD_INTERNAL;
    }
    return tell_merged(self);
}

static int run(void *options)
{
    struct draw *self = options;
    int exit_code = check(self) ? draw(self) : LOAD_USAGE;

    for (size_t i = 0; i < self->count; i++) {
        saved_fini(&self->runs[i]);
    }
    free(self->runs);
    return exit_code;
}

int draw_main(int argc, char **argv, int first)
{
    static const struct command_kind kind = {
        .set = &draw_set,
        .size = sizeof(struct draw),
        .run = run,
    };

    return command_main(&kind, argc, argv, first);
}
