/*
 * Writes the formats that a Python script makes. The script gets the result as
 * JSON and writes to temporary files without names. The user's files are filled
 * from them at the end, so that none is left incomplete.
 */
#include "output.h"

#include "tools/common/console.h"
#include "writers.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool publish_can_start(const char *flag)
{
    const char *argv[RESULTS_WORDS + 2];

    if (!results_begin(flag, argv)) {
        return false;
    }
    argv[RESULTS_WORDS - 1] = "check";
    argv[RESULTS_WORDS] = "--";
    argv[RESULTS_WORDS + 1] = NULL;
    return results_run(argv, STDIN_FILENO, NULL, 0);
}

/* Arguments of the script: formats, their files' descriptors, and the run. */
struct call {
    const char *argv[RESULTS_WORDS + PUBLISH_FORMATS + OPTIONS_LABELS_MAX + 4];
    char texts[PUBLISH_FORMATS][32];
    char named[KINDS_MAX * 4];
    char target[TARGET_HOST_SIZE + 4096];
    int fds[PUBLISH_FORMATS];
    size_t count;
};

static void add_words(const struct publish *self, const struct result *result,
                      FILE *const *outs, struct call *call)
{
    const struct run_options *options = result->options;
    const char **at = call->argv + RESULTS_WORDS;

    call->count = 0;
    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        if (self->files[i].file) {
            const size_t k = call->count++;
            call->fds[k] = fileno(outs[i]);
            snprintf(call->texts[k], sizeof(call->texts[k]), "%s=%d",
                     self->files[i].flag, call->fds[k]);
            *at++ = call->texts[k];
        }
    }
    const struct kinds *kinds = result->options->groups;
    size_t len = (size_t)snprintf(call->named, sizeof(call->named), "--named=");
    for (size_t i = 0; result->kinds && i < kinds->count; i++) {
        if (kinds->has_name[i]) {
            len += (size_t)snprintf(call->named + len,
                                    sizeof(call->named) - len, "%zu,", i);
        }
    }
    *at++ = call->named;
    snprintf(call->target, sizeof(call->target), "--target=%s",
             options->targets[0].text);
    *at++ = call->target;
    *at++ = "--";
    for (size_t i = 0; i < options->label_count; i++) {
        *at++ = options->labels[i];
    }
    *at = NULL;
}

static bool write_files(struct publish *self, const struct result *result,
                        FILE *in, FILE *const *outs)
{
    struct call call;

    if (json_write(result, in) < 0) {
        return say("a temporary file could not be written");
    }
    rewind(in);
    if (!results_begin("publish", call.argv)) {
        return false;
    }
    add_words(self, result, outs, &call);
    if (!results_run(call.argv, fileno(in), call.fds, call.count)) {
        return false;
    }
    bool is_good = true;
    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        if (self->files[i].file) {
            char piece[65536];
            size_t len = 0;
            rewind(outs[i]);
            while ((len = fread(piece, 1, sizeof(piece), outs[i])) > 0) {
                fwrite(piece, 1, len, self->files[i].file);
            }
            is_good &= whole_file_keep(&self->files[i]);
        }
    }
    return is_good;
}

bool publish_write(struct publish *self, const struct result *result)
{
    FILE *files[PUBLISH_FORMATS + 1];
    size_t count = 0;
    bool is_good = false;

    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        is_good |= self->files[i].file != NULL;
    }
    if (!is_good) {
        return true; /* nothing was requested */
    }
    while (count < PUBLISH_FORMATS + 1 && (files[count] = tmpfile())) {
        count++;
    }
    is_good = count == PUBLISH_FORMATS + 1;
    if (is_good) {
        is_good = write_files(self, result, files[PUBLISH_FORMATS], files);
    } else {
        say("no temporary file could be made: %s", strerror(errno));
    }
    while (count > 0) {
        fclose(files[--count]);
    }
    return is_good;
}

void publish_drop(struct publish *self)
{
    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        whole_file_drop(&self->files[i]);
    }
}
