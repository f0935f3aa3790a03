/*
 * Numbers as people write them.
 *
 * Counts and rates: k, M and G are powers of 1000. Sizes: K, M and G are powers
 * of 1024, with an optional B or iB. Times: ns, us, ms, s, m, h and d, and
 * combinations such as 1m30s; a plain number is in seconds. All accept a
 * decimal fraction ("1.5s").
 */
#ifndef WEIR_COMMON_UNITS_H
#define WEIR_COMMON_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Buffer size for units_format_time() and units_format_size(). */
#define UNITS_TEXT_SIZE 32

/* Return 0, -EINVAL for an invalid number or unit, or -ERANGE if the number is
 * too large. *ret is written only on success. */
int units_parse_count(const char *text, uint64_t *ret);
int units_parse_size(const char *text, uint64_t *ret_bytes);
int units_parse_time(const char *text, uint64_t *ret_ns);

/* Returns true for a time without a unit, which other programs read as
 * milliseconds. 0 needs no unit. */
bool units_lacks_unit(const char *text);

/* Parses a percentage such as "0.1%" into millionths. */
int units_parse_percent(const char *text, uint64_t *ret_millionths);

/* Writes three significant digits: "950ns", "9.84us", "184us", "1.81ms",
 * "4.10s". Returns @buf, of UNITS_TEXT_SIZE bytes. */
const char *units_format_time(uint64_t ns, char *buf);

/* Writes "0 B", "512 B", "64 KiB" or "1.5 MiB". Returns @buf. */
const char *units_format_size(uint64_t bytes, char *buf);

#endif
