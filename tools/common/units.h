/*
 * Numbers as people write and read them.
 *
 * Counts and rates: k, M and G are powers of 1000. Sizes: K, M and G are
 * powers of 1024, an optional B or iB after them. Times: ns, us, ms, s, m, h
 * and d, and several of them as 1m30s; a plain number means seconds. All take a
 * decimal fraction ("1.5s").
 */
#ifndef WEIR_COMMON_UNITS_H
#define WEIR_COMMON_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for everything that a units_format function writes. */
#define UNITS_TEXT_SIZE 32

/* Each returns 0, -EINVAL for what is no number with a known unit, or
 * -ERANGE for one that does not fit; ret is written on success only. */
int units_parse_count(const char *text, uint64_t *ret);
int units_parse_size(const char *text, uint64_t *ret_bytes);
int units_parse_time(const char *text, uint64_t *ret_ns);

/* Is it a number of a time without a unit, which other programs read as
 * milliseconds? 0 is the same in each unit. */
bool units_lacks_unit(const char *text);

/* A percentage such as "0.1%", in millionths. */
int units_parse_percent(const char *text, uint64_t *ret_millionths);

/* Three significant digits: "950ns", "9.84us", "184us", "1.81ms", "4.10s".
 * Returns buf, which has UNITS_TEXT_SIZE bytes. */
const char *units_format_time(uint64_t ns, char *buf);

/* "0 B", "512 B", "64 KiB", "1.5 MiB". Returns buf. */
const char *units_format_size(uint64_t bytes, char *buf);

#endif
