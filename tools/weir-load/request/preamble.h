/*
 * What each connection asks for once, before its first request that counts:
 * --preamble and --capture.
 *
 * A preamble is a row of requests, as the lines of --mix are written without
 * their weights; each is sent when the answer before it is there. Captures
 * (capture.h) belong to the answer of the request before them. In a file a line
 *
 *     capture NAME=json:PATH
 *
 * is one; otherwise it is as one of --urls, with comments and blank lines.
 *
 * What they have to do with a connection is conn_preamble.h's.
 */
#ifndef WEIR_LOAD_PREAMBLE_H
#define WEIR_LOAD_PREAMBLE_H

#include "capture.h"
#include "request_kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREAMBLE_LINES_MAX    16U
#define PREAMBLE_CAPTURES_MAX 32U

/* --preamble and --capture, given so many times. */
#define PREAMBLE_WORDS_MAX 48U

/* Room for every reason. */
#define PREAMBLE_WHY_SIZE 640

struct preamble_line {
    struct request_kind kind;
    /* Of its answer: so many captures, from the first on. */
    size_t first_capture;
    size_t capture_count;
};

struct preamble {
    struct preamble_line lines[PREAMBLE_LINES_MAX];
    size_t line_count;
    struct capture captures[PREAMBLE_CAPTURES_MAX];
    size_t capture_count;
    /* Texts of captures that stood in files. */
    char *owned[PREAMBLE_CAPTURES_MAX];
    size_t owned_count;
};

/* The words of the command line, in their order. */
struct preamble_words {
    size_t count;
    struct {
        const char *text;
        bool is_capture;
    } list[PREAMBLE_WORDS_MAX];
    /* The rows, once they were given. */
    const struct option *preamble;
    const struct option *capture;
};

/* Before a command line is read: the names that its captures give, so that
 * requests may have places for them wherever they stand. What is wrong is told
 * when it is read. */
void preamble_find_names(int argc, char **argv, int first);

/* In a word of a command line, the text of the --preamble that stands there or
 * before it; NULL: it has none. */
const char *preamble_find_text(char **argv, int at);

/* The same for a text that may have a password: it is no @FILE. */
const char *preamble_find_secret(char **argv, int at);

/* Read the words; 0, or a negative error with one line in why. What is owned is
 * freed by preamble_fini() in any case. */
int preamble_read(const struct preamble_words *words, bool is_http,
                  struct preamble *ret, char *why);

/* The name that a text has a place for though no answer before a line gives it;
 * NULL: there is none. */
const char *preamble_find_early(const struct preamble *preamble, size_t line,
                                const char *text);

/* Of all lines and captures; the same for the same. */
uint64_t preamble_hash(const struct preamble *preamble);

void preamble_fini(struct preamble *preamble);

#endif
