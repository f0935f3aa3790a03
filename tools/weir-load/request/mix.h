/*
 * Requests of several kinds with weights, as a file has them (--mix): a line
 * for each kind, with its weight and what request_kind.h reads.
 *
 *     # HTTP
 *     90 GET /items/{rand:1:1000}
 *     10 POST /items {"id": {seq}}
 *     Content-Type: application/json
 *
 *     # other protocols
 *     9 delim:END\r\n get key{rand:1:1000}\r\n
 *     1 delim:\r\n begin:STORED set key{rand:1:1000} 0 0 5\r\nhello\r\n
 *
 * A line without a weight has weight 1. Which kind a request is follows from
 * its place on its connection, so that the reader of the answers finds it
 * again.
 */
#ifndef WEIR_LOAD_MIX_H
#define WEIR_LOAD_MIX_H

#include "request_kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIX_KINDS_MAX 256U

/* Room for every reason that mix_parse() gives. */
#define MIX_WHY_SIZE 320

struct mix {
    size_t kind_count;
    struct request_kind kinds[MIX_KINDS_MAX];
    /* Sums of the weights up to each kind. */
    uint64_t ends[MIX_KINDS_MAX];
};

/* Read the text of a file. 0, or a negative error with one line in why, and
 * nothing is owned. */
int mix_parse(const char *text, size_t len, enum request_form form,
              struct mix *ret, char *why);

/* Read a file; the same. */
int mix_read(const char *path, enum request_form form, struct mix *ret,
             char *why);

/* The kind that a random number stands for. */
size_t mix_choose(const struct mix *mix, uint64_t random);

void mix_fini(struct mix *mix);

#endif
