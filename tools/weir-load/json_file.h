/*
 * Where `--json[=FILE]` of the commands that read or make several runs goes: to
 * a file, or to standard output instead of the text.
 *
 * Whether the text is printed beside is the caller's decision.
 */
#ifndef WEIR_LOAD_JSON_FILE_H
#define WEIR_LOAD_JSON_FILE_H

#include <jansson.h>
#include <stdbool.h>

/* Path NULL is standard output. The object is taken; NULL, for want of memory,
 * is an error too. False after a line on standard error. */
bool json_file_write(const char *path, json_t *object);

#endif
