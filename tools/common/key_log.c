/*
 * A line is appended by one call. A lock serialises threads: without it a
 * thread could write to a descriptor that another thread has closed, and whose
 * number belongs to a socket by then.
 */
#include "key_log.h"

#include "console.h"
#include "option.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_SIZE 512 /* a label, the client's random and a secret */

struct key_log {
    struct key_log *next;
    size_t users;
    int fd;
    bool has_failed; /* a failure was reported; reset by a successful write */
    bool has_warned; /* reset when the log is closed */
    char path[];
};

static struct key_log *all;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct key_log *key_log_find(const char *path)
{
    const size_t size = strlen(path) + 1;

    pthread_mutex_lock(&lock);
    struct key_log *log = all;
    while (log && strcmp(log->path, path) != 0) {
        log = log->next;
    }
    if (!log && (log = calloc(1, sizeof(*log) + size))) {
        memcpy(log->path, path, size);
        log->fd = -1;
        log->next = all;
        all = log;
    }
    pthread_mutex_unlock(&lock);
    return log;
}

/* Returns true for a regular file of this user or of @other that only its owner
 * can access and that has no other name. */
static bool is_private(const struct stat *facts, uid_t other)
{
    return S_ISREG(facts->st_mode) &&
           (facts->st_mode & (S_IRWXG | S_IRWXO)) == 0 &&
           (facts->st_uid == geteuid() || facts->st_uid == other) &&
           facts->st_nlink <= 1;
}

/* Returns a descriptor, or -1 with errno and a reason in @why. */
static int open_file(const char *path, int flags, uid_t other, char *why)
{
    struct stat facts;
    const int fd = open(path,
                        O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW |
                            O_NONBLOCK | O_NOCTTY | flags,
                        0600);

    if (fd < 0) {
        const int err = errno;
        option_refuse(why, "%.200s: %s", path, strerror(err));
        errno = err;
        return -1;
    }
    if (fstat(fd, &facts) < 0 || !is_private(&facts, other)) {
        option_refuse(why,
                      "%.200s: it must be a regular file with one name, owned "
                      "by the user of this process, that no other user may "
                      "read or write (0600)",
                      path);
        close(fd);
        errno = EPERM;
        return -1;
    }
    return fd;
}

bool key_log_open(struct key_log *log, uid_t other, char *why)
{
    pthread_mutex_lock(&lock);
    if (log->users == 0) {
        log->fd = open_file(log->path, O_CREAT, other, why);
        log->has_failed = false;
    }
    const bool is_open = log->fd >= 0;
    log->users += is_open;
    pthread_mutex_unlock(&lock);
    return is_open;
}

/* Returns true if a missing file can be created in its folder. */
static bool has_folder(const char *path, char *why)
{
    const char *slash = strrchr(path, '/');
    const int len = slash ? (int)(slash - path) + 1 : 1;
    char folder[PATH_MAX];

    snprintf(folder, sizeof(folder), "%.*s", len, slash ? path : ".");
    return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0 ||
           option_refuse(why, "%.200s: %s", path, strerror(errno));
}

bool key_log_try(const struct key_log *log, uid_t other, char *why)
{
    const int fd = open_file(log->path, 0, other, why);

    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0 || (errno == ENOENT && has_folder(log->path, why));
}

void key_log_close(struct key_log *log)
{
    pthread_mutex_lock(&lock);
    if (--log->users == 0) {
        close(log->fd);
        log->fd = -1;
        log->has_warned = false;
    }
    pthread_mutex_unlock(&lock);
}

void key_logs_reopen(void)
{
    char why[OPTION_WHY_SIZE];

    pthread_mutex_lock(&lock);
    for (struct key_log *log = all; log; log = log->next) {
        const int fd =
            log->users > 0 ? open_file(log->path, O_CREAT, geteuid(), why) : -1;
        if (fd >= 0) {
            close(log->fd);
            log->fd = fd;
        } else if (log->users > 0) {
            say("key log: %s; the old file stays", why);
        }
    }
    pthread_mutex_unlock(&lock);
}

void key_log_warn(struct key_log *log)
{
    pthread_mutex_lock(&lock);
    if (!log->has_warned) {
        say("warning: TLS secrets are logged: anyone who can read '%.200s' can "
            "decrypt the connections",
            log->path);
    }
    log->has_warned = true;
    pthread_mutex_unlock(&lock);
}

static void note_written(struct key_log *log, bool is_whole, int err)
{
    if (!is_whole && !log->has_failed) {
        say("key log: %s: %s; secrets are missing", log->path,
            err ? strerror(err) : "there is no room for a line");
    }
    log->has_failed = !is_whole;
}

void key_log_write(void *user, const char *line)
{
    struct key_log *log = user;
    char text[LINE_SIZE];

    pthread_mutex_lock(&lock);
    /* Ends an incomplete line first. */
    const int len = snprintf(text, sizeof(text), "%s%s\n",
                             log->has_failed ? "\n" : "", line);
    if (log->fd >= 0 && len > 0 && (size_t)len < sizeof(text)) {
        const ssize_t written = write(log->fd, text, (size_t)len);
        note_written(log, written == len, written < 0 ? errno : 0);
    }
    pthread_mutex_unlock(&lock);
    explicit_bzero(text, sizeof(text));
}
