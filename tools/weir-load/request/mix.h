/*
 * A mix of requests with weights, from a file (--mix): one line for each kind,
 * with its weight and a request as in request_kind.h.
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
 * The default weight is 1. The index of a request on its connection determines
 * its kind, so that the reader of the answers can compute it again.
 */
#ifndef WEIR_LOAD_MIX_H
#define WEIR_LOAD_MIX_H

#include "tools/weir-load/base/why.h"

#include "request_kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIX_KINDS_MAX 256U

struct mix {
    size_t kind_count;
    struct request_kind kinds[MIX_KINDS_MAX];
    /* For each kind, the sum of its weight and those of earlier kinds. */
    uint64_t ends[MIX_KINDS_MAX];
};

/* Parses the text of a file. Returns 0, or a negative error with one line in
 * @why; then nothing is owned. */
int mix_parse(const char *text, size_t len, enum request_form form,
              struct mix *ret, char *why);

/* Reads a file and parses it like mix_parse(). */
int mix_read(const char *path, enum request_form form, struct mix *ret,
             char *why);

size_t mix_choose(const struct mix *mix, uint64_t random);

void mix_fini(struct mix *mix);

#endif
