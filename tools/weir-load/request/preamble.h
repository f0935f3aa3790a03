/*
 * Requests that each connection sends once, before its first measured request:
 * --preamble and --capture.
 *
 * A preamble is a list of requests, written like lines of --mix without
 * weights; each is sent when the previous answer is complete. A capture
 * (capture.h) applies to the answer of the request before it. In a file, a line
 *
 *     capture NAME=json:PATH
 *
 * is a capture; the other lines are as in a file of --urls. conn_preamble.h
 * sends preambles.
 */
#ifndef WEIR_LOAD_PREAMBLE_H
#define WEIR_LOAD_PREAMBLE_H

#include "tools/weir-load/base/why.h"

#include "capture.h"
#include "request_kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREAMBLE_LINES_MAX    16U
#define PREAMBLE_CAPTURES_MAX 32U

#define PREAMBLE_WORDS_MAX 48U

struct preamble_line {
    struct request_kind kind;
    /* Captures from its answer. */
    size_t first_capture;
    size_t capture_count;
};

struct preamble {
    struct preamble_line lines[PREAMBLE_LINES_MAX];
    size_t line_count;
    struct capture captures[PREAMBLE_CAPTURES_MAX];
    size_t capture_count;
};

/* The options as given on the command line, in order. */
struct preamble_words {
    size_t count;
    struct {
        const char *text;
        bool is_capture;
    } list[PREAMBLE_WORDS_MAX];
    /* Rows of the two options, if they were given; else NULL. */
    const struct option *preamble;
    const struct option *capture;
};

/* Adds the names of all captures, so that requests may use them in options
 * before the capture. Must be called before the command line is parsed. Errors
 * are reported later, when the options are parsed. */
void preamble_find_names(int argc, char **argv, int first);

/* Returns the text of a --preamble if argv[at] is its value or contains it,
 * else NULL. */
const char *preamble_find_text(char **argv, int at);

/* Like preamble_find_text(), but NULL for @FILE: other texts may contain a
 * password. */
const char *preamble_find_secret(char **argv, int at);

/* Parses the options. Returns 0, or a negative error with one line in @why. */
int preamble_read(const struct preamble_words *words, bool is_http,
                  struct preamble *ret, char *why);

/* Returns a name that @text uses before an answer sets it, or NULL. */
const char *preamble_find_early(const struct preamble *preamble, size_t line,
                                const char *text);

uint64_t preamble_hash(const struct preamble *preamble);

#endif
