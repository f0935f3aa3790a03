/*
 * Random strings that match a small regular expression: [a-z]{8}, (GET|PUT),
 * \d+\.\d\d.
 *
 * x  \.  \{          a byte; one that means something, behind a backslash
 * .  [a-f_]  [^,]    one of all that print (from blank to ~), of a class, or of
 *                    those that print and are not in it
 * \d  \w  \s         a digit; a letter, digit or _; a blank or tab; also in
 *                    classes
 * (a|b)              one of the alternatives, of which some may be empty
 * {N}  {N,M}  ?      what stands before them so many times
 * *  +               up to PATTERN_REPEAT_MAX times, from 0 and from 1 on
 *
 * Each count, each byte of a class and each alternative is as likely as the
 * next. There are no anchors: a string matches as a whole.
 */
#ifndef WEIR_LOAD_PATTERN_H
#define WEIR_LOAD_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes of a string, times of * and +, and groups in each other. */
#define PATTERN_SIZE_MAX   65536U
#define PATTERN_REPEAT_MAX 16U
#define PATTERN_DEPTH_MAX  16U

/* The longest pattern. */
#define PATTERN_TEXT_MAX 4096U

/* Room for every reason that pattern_parse() gives. */
#define PATTERN_WHY_SIZE 128

struct pattern_op;

/* All zero: none. */
struct pattern {
    struct pattern_op *ops;
    size_t op_count;
    /* The bytes that operations draw from. */
    char *bytes;
    size_t len;
    /* The most bytes that it becomes, at least 1; perhaps it becomes none. */
    size_t size_max;
    bool may_be_empty;
};

/* Read a pattern up to the brace that closes what it stands in. 0 and how many
 * bytes it has without that brace; -ENOMEM; or -EINVAL with one line in why and
 * the place of what is wrong, from 0. */
int pattern_parse(const char *text, size_t len, struct pattern *ret,
                  size_t *ret_at, char *why);

/* Write a string, which follows from the random number; out has size_max bytes.
 * Returns how many were written. */
size_t pattern_write(const struct pattern *self, uint64_t random, char *out);

void pattern_fini(struct pattern *self);

#endif
