/*
 * The system's files that say how names are found: their lines, and whether
 * they have changed.
 *
 * Files are read by the loop's thread, whole, and only when they have changed:
 * their time, size and inode are compared once a second.
 */
#ifndef WEIR_LIB_NAMES_SYSTEM_FILE_H
#define WEIR_LIB_NAMES_SYSTEM_FILE_H

#include "uring/alloc.h"

/* The bytes of a file, with a NUL behind them. All 0: none. */
struct wr_system_text {
    char *bytes;
    size_t size; /* of the memory */
    size_t len;
    bool is_cut; /* the file is longer */
};

/* Reads a file, or its first 16 MiB, into an empty text. An unreadable file
 * counts as empty. 0; -EMFILE and the like if it could not be read for a lack
 * of this process, -ENOMEM among them: then the text is empty. */
WEIR_MUST_USE int wr_system_text_read(const struct weir_allocator *allocator,
                                      const char *path,
                                      struct wr_system_text *ret);

/* The line at *@at, with a NUL in place of its newline, whose successor is *@at
 * then; NULL: there is none. *@at is 0 for the first line. A line that was cut
 * is left out. */
char *wr_system_text_next(struct wr_system_text *text, size_t *at);

void wr_system_text_free(const struct weir_allocator *allocator,
                         struct wr_system_text *text);

/* When a file was read; all 0: never. */
struct wr_system_file {
    bool was_noted;
    uint64_t stamp;    /* of the file when it was noted last */
    uint64_t check_ns; /* when to compare it again */
};

/* Notes the file that is going to be read. True if it was noted before, and has
 * changed since. */
WEIR_MUST_USE bool wr_system_file_note(struct wr_system_file *file,
                                       const char *path);

/* Notes the file, but once a second alone; else false. */
WEIR_MUST_USE bool wr_system_file_has_changed(struct wr_system_file *file,
                                              const char *path,
                                              uint64_t now_ns);

#endif
