/*
 * Parses the command line of a run: defaults, the rows (options_rows.c), and
 * then the dependencies between options (options_settle.c). The options are
 * copied out only if all are valid.
 */
#include "command.h"

#include "tools/common/console.h"

#include <sys/random.h>

#define SECOND UINT64_C(1000000000)

enum options_result
options_parse(int argc, char **argv, int first, struct run_options *ret,
              void (*suggest)(int argc, char **argv, int first))
{
    struct options_reading reading = {
        .options =
            {
                .thread_count = 1,
                .part = {.count = 1},
                .send = sizes_of(128),
                .sockets = {.tos = -1},
                .timeout_ns = 5 * SECOND,
                .lateness_limit_ns = SECOND / 1000,
                .lateness_limit_share = 100000,
                .columns = {50000, 90000, 95000, 99000, 99900, 99990},
                .column_count = 6,
                .argv = argv,
                .argc = argc,
            },
    };
    struct run_options *options = &reading.options;
    struct option_list given;

    if (getrandom(&options->seed, sizeof(options->seed), GRND_NONBLOCK) < 0) {
        options->seed = 1;
    }
    /* Readers of JSON may keep only 53 bits of a number. */
    options->seed >>= 11;
    preamble_find_names(argc, argv, first);
    options_set_initial(&options_set, 0, &reading);
    const enum options_result result =
        options_read(&options_set, &reading, argc, argv, first, &given);
    if (result == OPTIONS_BAD && suggest) {
        suggest(argc, argv, first);
    }
    if (result != OPTIONS_READY) {
        return result;
    }
    if (options->target_count == 0) {
        say("no target; write http://HOST[:PORT]/PATH, https://, " TARGET_FORMS
            " (see weir-load run --help)");
        return OPTIONS_BAD;
    }
    if (!options_settle(&reading, &given)) {
        return OPTIONS_BAD;
    }
    *ret = *options;
    for (size_t i = 0; i < ret->label_count; i++) {
        char *label = secret_words_strip((char **)ret->labels, (int)i);
        if (!label) {
            say("no memory");
            return OPTIONS_BAD;
        }
        ret->labels[i] = label; /* never freed */
    }
    return OPTIONS_READY;
}
