/*
 * Key logs: files that the secrets of TLS connections are appended to, for
 * Wireshark and other readers of what was captured.
 *
 * Whoever reads such a file can decrypt the connections. So it is made for its
 * owner alone, one that others may read is refused, and none is ever asked for
 * but by the program's own words: the environment (SSLKEYLOGFILE) is not looked
 * at, as it would log secrets that nobody wanted.
 *
 * The process has one log for each path, whatever contexts write to it.
 */
#ifndef WEIR_COMMON_KEY_LOG_H
#define WEIR_COMMON_KEY_LOG_H

#include <stdbool.h>
#include <sys/types.h>

struct key_log;

/* The log of a path, closed until key_log_open(). It is never freed: a context
 * may log as long as it lives. NULL without memory. */
struct key_log *key_log_find(const char *path);

/* Opens it, or counts one more who has. The file belongs to this process's
 * user, or to @other, whom it may become. False, with a line in @why. */
bool key_log_open(struct key_log *log, uid_t other, char *why);
/* Would key_log_open() refuse the file that is there, or find no folder to make
 * one? This makes none. */
bool key_log_try(const struct key_log *log, uid_t other, char *why);
/* The last one who has opened it closes it; lines are dropped then. */
void key_log_close(struct key_log *log);

/* Opens those that are open anew, as their files were moved away. Where that
 * fails the old file stays, which is said. */
void key_logs_reopen(void);

/* Warns that the connections can be decrypted, once until the log is closed. */
void key_log_warn(struct key_log *log);

/* The keylog of struct weir_tls_options; its user is the log. Any thread. */
void key_log_write(void *log, const char *line);

#endif
