/*
 * A command by the operator's page: POST /command, with the token that the
 * file of --admin-token has. A GET never changes anything, and a page of
 * somebody else that a browser shows cannot send the token.
 */
#ifndef WEIR_PROXY_POSTING_H
#define WEIR_PROXY_POSTING_H

#include "proxy.h"

#include "weir/stream.h"

#include <stdio.h>

#define POSTING_TOKEN_LEAST 16u
#define POSTING_TOKEN_MOST  512u

/* Reads the token of a file, to be freed; NULL, with a line in @why. */
char *posting_read_token(const char *path, char *why);

/* Has the head of a request this token? */
bool posting_has_token(const char *head, size_t len, const char *token);

/* A request, and its connection. */
struct posting {
    weir_reader *reader;
    weir_transport *transport;
    const char *head;
    size_t len;
};

/* Carries out the command that follows the head, in a task, and writes the
 * answer to @out; the line of its status. */
const char *posting_do(struct worker *worker, const struct posting *posting,
                       FILE *out);

#endif
