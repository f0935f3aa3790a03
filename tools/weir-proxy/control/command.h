/*
 * Parser of the commands that operators send to a running proxy.
 *
 * A command is one line. It is split at tabs, or at spaces if it has no tab.
 * control.c executes the command.
 */
#ifndef WEIR_PROXY_COMMAND_H
#define WEIR_PROXY_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits of a line and of one argument, in bytes. */
#define COMMAND_LINE_MAX 1024
#define COMMAND_WORD_MAX 512

enum command_kind {
    COMMAND_HELP,
    COMMAND_STATUS,
    COMMAND_FACTS,
    COMMAND_RELOAD,
    COMMAND_WEIGHT,
    COMMAND_DRAIN,
    COMMAND_DISABLE,
    COMMAND_READY,
    COMMAND_UP,
    COMMAND_CUT,
    COMMANDS,
};

struct command {
    enum command_kind kind;
    char target[COMMAND_WORD_MAX]; /* "" if the command has none */
    uint32_t weight;
};

/* Parses a line without its newline. Returns false with a reason in @why, of
 * OPTION_WHY_SIZE. */
bool command_read(const char *text, size_t len, struct command *ret, char *why);

extern const struct command_row {
    const char *name;
    const char *words; /* names of its arguments, for the help */
    const char *help;
} command_rows[COMMANDS];

/* Returns true if the command is about this target. The command's argument is
 * "SERVICE/TARGET". SERVICE may be * for all services, and TARGET may omit
 * tcp://, tls:// and unix:. */
bool command_is_about(const struct command *command, const char *service,
                      const char *target);
const char *command_short_name(const char *target);

#endif
