/*
 * A text inside HTML and SVG: it is shown as it is, whatever is in it.
 *
 * HTML forgives a byte that is no character; a browser shows nothing at all of
 * an SVG file with one. Such bytes become "?".
 */
#ifndef WEIR_LOAD_MARKUP_H
#define WEIR_LOAD_MARKUP_H

#include <stddef.h>
#include <stdio.h>

void markup_write(const char *text, FILE *out);

/* Its first len bytes. */
void markup_write_part(const char *text, size_t len, FILE *out);

/* Bytes of the character at the front of len bytes; 0 where none begins. */
size_t markup_length(const char *text, size_t len);

/* How many characters it has, about: bytes that begin one. */
size_t markup_count(const char *text);

#endif
