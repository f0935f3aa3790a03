/*
 * Connection-specific fields of HTTP/1.1, which HTTP/2 does not allow (RFC
 * 9113, 8.2.2).
 *
 * This file does not use the library, as command lines are parsed without it.
 */
#ifndef WEIR_LOAD_H2_FIELDS_H
#define WEIR_LOAD_H2_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

/* Returns true if the field must be dropped. Upper and lower case are equal. */
bool h2_field_is_dropped(const char *name, size_t name_len, const char *value,
                         size_t value_len);

/* Like h2_field_is_dropped(), for a line "Name: value". */
bool h2_field_line_is_dropped(const char *line);

#endif
