/*
 * Each command gives a table of its flags and a function that runs it; what
 * stands between the program's main() and that function is the same for all.
 *
 * The options are on the heap: the words and the results of a command are
 * larger than a stack should carry.
 */
#include "command.h"

#include "exits.h"
#include "tools/common/console.h"
#include "tools/common/units.h"

#include <stdio.h>
#include <stdlib.h>

bool command_read_help(void *options, const char *flag, const char *value)
{
    struct command *self = options;

    (void)flag;
    (void)value;
    self->wants_help = true;
    return true;
}

bool command_read_json(void *options, const char *flag, const char *value)
{
    struct command *self = options;

    if (value && !*value) {
        say("--%s: '' is not a file name", flag);
        return false;
    }
    self->json = true;
    self->json_path = value;
    return true;
}

bool command_read_save(void *options, const char *flag, const char *value)
{
    struct command *self = options;

    (void)flag;
    self->save = value;
    return true;
}

bool command_read_seed(void *options, const char *flag, const char *value)
{
    struct command *self = options;

    if (units_parse_count(value, &self->seed) < 0) {
        say("--%s: '%s' is not a number", flag, value);
        return false;
    }
    return true;
}

bool command_read_slo(void *options, const char *flag, const char *value)
{
    struct command *self = options;
    struct slo_error error;

    self->slo_text = value;
    if (slo_parse(value, &self->slo, &error) < 0) {
        say("--%s: '%.200s', at character %zu: %s", flag, value, error.position,
            error.why);
        return false;
    }
    return true;
}

bool command_prints(const struct command *command)
{
    return !command->json || command->json_path;
}

static int run(const struct command_kind *kind, struct command *command,
               int argc, char **argv, int first)
{
    if (kind->start) {
        kind->start(command);
    }
    if (!words_take(kind->flags, command, argc, argv, first, &command->words)) {
        return LOAD_USAGE;
    }
    if (command->wants_help) {
        fputs(kind->help, stdout);
        return LOAD_OK;
    }
    return kind->run(command);
}

int command_main(const struct command_kind *kind, int argc, char **argv,
                 int first)
{
    struct command *command = calloc(1, kind->size);

    if (!command) {
        say("no memory");
        return LOAD_INTERNAL;
    }
    int exit_code = run(kind, command, argc, argv, first);
    free(command);
    return exit_code;
}
