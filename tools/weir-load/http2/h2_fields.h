/*
 * Fields that HTTP/1.1 has and HTTP/2 has not, as they are about one connection
 * (RFC 9113, 8.2.2).
 *
 * This knows no library, so that a command line is read without one.
 */
#ifndef WEIR_LOAD_H2_FIELDS_H
#define WEIR_LOAD_H2_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

/* In letters of any case. */
bool h2_field_is_dropped(const char *name, size_t name_len, const char *value,
                         size_t value_len);

/* The same of "Name: value". */
bool h2_field_line_is_dropped(const char *line);

#endif
