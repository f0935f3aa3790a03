/*
 * What an operator commands a running proxy: a line of words, read.
 *
 * The words have tabs between them, or, where there is no tab, spaces. Nothing
 * here knows of a proxy.
 */
#ifndef WEIR_PROXY_COMMAND_H
#define WEIR_PROXY_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a line, and of its words. */
#define COMMAND_LINE_MAX 1024
#define COMMAND_WORD_MAX 512

#define COMMAND_WEIGHT_MAX 256

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
    char target[COMMAND_WORD_MAX]; /* "": the command has none */
    uint32_t weight;
};

/* Reads a line without its end. False, with a line in @why, of
 * OPTION_WHY_SIZE. */
bool command_read(const char *text, size_t len, struct command *ret, char *why);

const char *command_name(enum command_kind kind);
/* Its words behind the name, and what it does. */
const char *command_words(enum command_kind kind);
const char *command_help(enum command_kind kind);

/* Is it about this target of a service: "SERVICE/TARGET", with * for all
 * services, and the target as it is written or without tcp://, tls:// and
 * unix: ? */
bool command_is_about(const struct command *command, const char *service,
                      const char *target);
/* A target as it is written in a command. */
const char *command_short_name(const char *target);

#endif
