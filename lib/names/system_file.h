/*
 * The system's files with settings of names: their lines, and whether they have
 * changed.
 *
 * The loop's thread reads a file whole, and only when it has changed: its time,
 * size and inode are compared once a second.
 */
#ifndef WEIR_LIB_NAMES_SYSTEM_FILE_H
#define WEIR_LIB_NAMES_SYSTEM_FILE_H

#include "uring/alloc.h"

/* The bytes of a file, terminated with a NUL. All 0 means empty. */
struct wr_system_text {
    char *bytes;
    size_t size; /* of the memory */
    size_t len;
    bool is_cut; /* the file is longer */
};

/* Reads a file, or its first 16 MiB, into an empty text. An unreadable file
 * counts as empty. Returns 0, -ENOMEM, or -EMFILE or a similar error if the
 * process was out of resources; after an error the text is empty. */
WEIR_MUST_USE int wr_system_text_read(const struct weir_allocator *allocator,
                                      const char *path,
                                      struct wr_system_text *ret);

/* Returns the line at *@at (0 for the first), with a NUL instead of its
 * newline, and advances *@at. Returns NULL at the end. Leaves out a line that
 * was cut. */
char *wr_system_text_next(struct wr_system_text *text, size_t *at);

void wr_system_text_free(const struct weir_allocator *allocator,
                         struct wr_system_text *text);

/* State of a file when it was last read; all 0 before. */
struct wr_system_file {
    bool was_noted;
    uint64_t stamp;    /* of the file when it was last noted */
    uint64_t check_ns; /* time of the next comparison */
};

/* Notes the file before it is read. Returns true if it was noted before, and
 * has changed since. */
WEIR_MUST_USE bool wr_system_file_note(struct wr_system_file *file,
                                       const char *path);

/* Like wr_system_file_note(), but only once a second; else returns false. */
WEIR_MUST_USE bool wr_system_file_has_changed(struct wr_system_file *file,
                                              const char *path,
                                              uint64_t now_ns);

#endif
