/*
 * Key logs: files to which the secrets of TLS connections are appended, for
 * Wireshark and similar programs.
 *
 * Anyone who can read such a file can decrypt the connections. It is therefore
 * created for its owner only, an existing file that others can read is refused,
 * and only options of the program enable it. SSLKEYLOGFILE is ignored, because
 * it could log secrets unintentionally.
 *
 * A process has one log for each path. All contexts with this path share it.
 */
#ifndef WEIR_COMMON_KEY_LOG_H
#define WEIR_COMMON_KEY_LOG_H

#include <stdbool.h>
#include <sys/types.h>

struct key_log;

/* Returns the log of a path, or NULL if out of memory. The log is closed until
 * key_log_open(). It is never freed, because a context may log as long as it
 * exists. */
struct key_log *key_log_find(const char *path);

/* Opens a log, or increments its use count. The file must belong to this
 * process's user, or to @other, which the process may become. Returns false
 * with a reason in @why. */
bool key_log_open(struct key_log *log, uid_t other, char *why);
/* Like key_log_open(), but only checks the file, and creates none. */
bool key_log_try(const struct key_log *log, uid_t other, char *why);
/* The last user closes the file; later lines are dropped. */
void key_log_close(struct key_log *log);

/* Reopens all open logs after their files were moved away. If this fails, the
 * old file stays open, and an error is printed. */
void key_logs_reopen(void);

/* Warns that connections can be decrypted, once until the log is closed. */
void key_log_warn(struct key_log *log);

/* The keylog callback of struct weir_tls_options; its user pointer is the log.
 * Can be called on any thread. */
void key_log_write(void *log, const char *line);

#endif
