/*
 * Each command gives the rows of its options and a function that runs it; what
 * stands between the program's main() and that function is the same for all.
 *
 * The options are on the heap: the words and the results of a command are
 * larger than a stack should carry.
 */
#include "command.h"

#include "exits.h"
#include "tools/common/console.h"

#include <stdlib.h>
#include <string.h>

bool words_append(struct words *words, const char *word)
{
    if (words->count == WORDS_MAX) {
        say("more than %u words", WORDS_MAX);
        return false;
    }
    words->list[words->count++] = word;
    return true;
}

bool command_take_word(void *options, const char *text, char *why)
{
    struct words *words = &((struct command *)options)->words;

    if (words->count == WORDS_MAX) {
        return option_refuse(why, "more than %u words", WORDS_MAX);
    }
    words->list[words->count++] = text;
    return true;
}

bool command_pass(void *options, const struct option *option, const char *word,
                  char *why)
{
    struct option_list *passed = &((struct command *)options)->passed;

    if (!option_is_given(passed, option->name)) {
        passed->list[passed->count++] = option;
    }
    return command_take_word(options, word, why);
}

bool command_read_json(void *options, const struct option *option,
                       const char *value, char *why)
{
    struct command *self = options;

    (void)option;
    self->json = true;
    self->json_path = value && strcmp(value, "-") != 0 ? value : NULL;
    return !value || *value || option_refuse(why, "'' is not a file name");
}

bool command_read_slo(void *options, const struct option *option,
                      const char *value, char *why)
{
    struct command *self = options;
    struct slo_error error;

    (void)option;
    self->slo_text = value;
    return slo_parse(value, &self->slo, &error) == 0 ||
           option_refuse(why, "'%.200s', at character %zu: %s", value,
                         error.position, error.why);
}

bool command_refuses_once(const struct words *words, const char *name)
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

bool command_prints(const struct command *command)
{
    return !command->json || command->json_path;
}

static int run(const struct command_kind *kind, void *options, int argc,
               char **argv, int first)
{
    options_set_initial(kind->set, 0, options);
    if (kind->start) {
        kind->start(options);
    }
    switch (options_read(kind->set, options, argc, argv, first, NULL)) {
    case OPTIONS_READY:
        return kind->run(options);
    case OPTIONS_DONE:
        return LOAD_OK;
    default:
        return LOAD_USAGE;
    }
}

int command_main(const struct command_kind *kind, int argc, char **argv,
                 int first)
{
    void *options = calloc(1, kind->size);

    if (!options) {
        say("no memory");
        return LOAD_INTERNAL;
    }
    int exit_code = run(kind, options, argc, argv, first);
    free(options);
    return exit_code;
}
