/*
 * Writes a file completely or not at all.
 *
 * A symbolic link is kept: the file that it points to is replaced or created. A
 * replaced file keeps its permissions. The temporary file's name is random, so
 * that it differs from those of other runs, and of killed runs, that write the
 * same file. A process id would not do: processes in different containers may
 * have the same one.
 */
#include "output.h"

#include "tools/common/console.h"
#include "writers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* How many links are followed, as in the kernel. */
#define LINKS_MAX 40

struct found {
    bool is_there;
    mode_t mode;
};

bool whole_file_is_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

static void forget(struct whole_file *self)
{
    free(self->path);
    free(self->target);
    free(self->temporary);
    *self = (struct whole_file){0};
}

static bool complain(const struct whole_file *self, int err)
{
    return say("%s: %s: %s", self->flag,
               whole_file_is_stdout(self->path) ? "standard output"
                                                : self->path,
               fifo_error_text(err));
}

static struct found look(const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0) {
        return (struct found){0};
    }
    return (struct found){.is_there = true, .mode = status.st_mode};
}

/* Returns the path in the link at @path. Returns NULL if it is no link or
 * memory ran out (errno). */
static char *follow_once(const char *path)
{
    char link[PATH_MAX];
    char *next = NULL;

    const ssize_t len = readlink(path, link, sizeof(link));
    if (len < 0) {
        return NULL;
    }
    const char *slash = link[0] == '/' ? NULL : strrchr(path, '/');
    const int folder_len = slash ? (int)(slash - path) + 1 : 0;
    if (asprintf(&next, "%.*s%.*s", folder_len, path, (int)len, link) < 0) {
        errno = ENOMEM;
        return NULL;
    }
    return next;
}

/* Follows all links; the result need not exist. Returns NULL with errno. */
static char *follow(const char *path)
{
    char *at = strdup(path);

    for (unsigned i = 0; at && i < LINKS_MAX; i++) {
        char *next = follow_once(at);
        if (!next && errno != ENOMEM) {
            return at;
        }
        free(at);
        at = next;
    }
    if (at) {
        free(at);
        errno = ELOOP;
    }
    return NULL;
}

/* Creates the temporary file. Returns a descriptor or a negative error. */
static int make_temporary(struct whole_file *self, mode_t mode)
{
    uint64_t lot = 0;
    int fd = -1;

    do {
        free(self->temporary);
        self->temporary = NULL;
        if (getrandom(&lot, sizeof(lot), 0) != sizeof(lot)) {
            return -errno;
        }
        if (asprintf(&self->temporary, "%s.%016" PRIx64 ".tmp", self->target,
                     lot) < 0) {
            self->temporary = NULL;
            return -ENOMEM;
        }
        fd = open(self->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                  mode);
    } while (fd < 0 && errno == EEXIST);
    return fd < 0 ? -errno : fd;
}

static int open_beside(struct whole_file *self, const struct found *found)
{
    self->target = follow(self->path);
    if (!self->target || (found->is_there && access(self->target, W_OK) < 0)) {
        return -errno;
    }
    const mode_t mode = found->is_there ? found->mode & 0777 : 0666;
    const int fd = make_temporary(self, mode);
    if (fd < 0) {
        return fd;
    }
    self->file = fdopen(fd, "w");
    if (!self->file || (found->is_there && fchmod(fd, mode) < 0)) {
        const int err = -errno;
        unlink(self->temporary);
        if (self->file) {
            (void)fclose(self->file);
            self->file = NULL;
        } else {
            close(fd);
        }
        return err;
    }
    return 0;
}

/* Checks whether a file could be created in the folder of @path. */
static int check_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

    const int err = folder && access(folder, W_OK | X_OK) == 0 ? 0 : -errno;
    free(folder);
    return err;
}

int whole_file_check(const char *path)
{
    const struct found found = look(path);

    if (found.is_there && access(path, W_OK) < 0) {
        return -errno;
    }
    if (found.is_there && !S_ISREG(found.mode)) {
        return S_ISDIR(found.mode) ? -EISDIR : 0;
    }
    char *target = follow(path);
    const int err = target ? check_folder(target) : -errno;
    free(target);
    return err;
}

bool whole_file_open(struct whole_file *self, const char *flag,
                     const char *path)
{
    int err = 0;

    *self = (struct whole_file){.flag = flag};
    if (!path) {
        return true;
    }
    self->path = strdup(path);
    if (!self->path) {
        return say("%s: no memory", flag);
    }
    const struct found found = look(path);
    if (whole_file_is_stdout(path)) {
        self->file = stdout;
    } else if (found.is_there && !S_ISREG(found.mode)) {
        self->file = fifo_open(path);
        err = self->file ? 0 : -errno;
    } else {
        err = open_beside(self, &found);
    }
    if (err < 0) {
        complain(self, -err);
        forget(self);
    }
    return err == 0;
}

static int copy(int from, int to)
{
    char bytes[1 << 14];
    ssize_t len = 0;

    while ((len = read(from, bytes, sizeof(bytes))) > 0) {
        for (ssize_t done = 0; done < len;) {
            const ssize_t n = write(to, bytes + done, (size_t)(len - done));
            if (n < 0) {
                return -errno;
            }
            done += n;
        }
    }
    return len < 0 ? -errno : 0;
}

/* Overwrites the target with the temporary file's bytes. Returns 0 or an
 * errno. */
static int write_in_place(const struct whole_file *self)
{
    const int from = open(self->temporary, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        return errno;
    }
    const int to = open(self->target, O_WRONLY | O_TRUNC | O_CLOEXEC);
    int err = to < 0 ? -errno : copy(from, to);
    if (to >= 0 && close(to) < 0 && err == 0) {
        err = -errno;
    }
    close(from);
    if (err == 0) {
        unlink(self->temporary);
    }
    return -err;
}

/* Replaces the target by the temporary file. Returns 0 or an errno. */
static int take_name(const struct whole_file *self)
{
    if (rename(self->temporary, self->target) == 0) {
        return 0;
    }
    return errno == EBUSY || errno == EXDEV ? write_in_place(self) : errno;
}

bool whole_file_keep(struct whole_file *self)
{
    if (!self->file) {
        return true;
    }
    int err = fifo_close(self->file);
    if (err != 0) {
        complain(self, err);
        if (self->temporary) {
            unlink(self->temporary);
        }
    } else if (self->temporary && (err = take_name(self)) != 0) {
        say("%s: %s: %s; the output is in %s", self->flag, self->path,
            strerror(err), self->temporary);
    }
    forget(self);
    return err == 0;
}

void whole_file_drop(struct whole_file *self)
{
    if (!self->file) {
        return;
    }
    (void)fifo_close(self->file);
    if (self->temporary) {
        unlink(self->temporary);
    }
    forget(self);
}
