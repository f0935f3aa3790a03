/*
 * A symbolic link stays one: the file that it leads to is replaced. A file
 * keeps its permissions; a new one has those of the process.
 *
 * The file beside it has the number of the process in its name, so that two
 * runs that write the same file do not write into one another.
 */
#include "whole_file.h"

#include "tools/common/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    say("%s: %s: %s", self->flag,
        whole_file_is_stdout(self->path) ? "standard output" : self->path,
        strerror(err));
    return false;
}

/* Is it written as it is? A directory is refused when it is opened. */
static bool is_special(const char *path, mode_t *ret_mode)
{
    struct stat status;

    *ret_mode = 0;
    if (stat(path, &status) < 0) {
        return false;
    }
    *ret_mode = status.st_mode & 0777;
    return !S_ISREG(status.st_mode);
}

/* 0 or a negative error. */
static int open_beside(struct whole_file *self, mode_t mode)
{
    self->target = mode ? realpath(self->path, NULL) : strdup(self->path);
    if (!self->target) {
        return -errno;
    }
    if (mode && access(self->target, W_OK) < 0) {
        return -errno;
    }
    if (asprintf(&self->temporary, "%s.%d.tmp", self->target, (int)getpid()) <
        0) {
        self->temporary = NULL;
        return -ENOMEM;
    }
    const int fd =
        open(self->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
             mode ? mode : 0666);
    if (fd < 0) {
        return -errno;
    }
    self->file = fdopen(fd, "w");
    if (!self->file || (mode && fchmod(fd, mode) < 0)) {
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

bool whole_file_open(struct whole_file *self, const char *flag,
                     const char *path)
{
    mode_t mode = 0;
    int err = 0;

    *self = (struct whole_file){.flag = flag};
    if (!path) {
        return true;
    }
    self->path = strdup(path);
    if (!self->path) {
        say("%s: no memory", flag);
        return false;
    }
    if (whole_file_is_stdout(path)) {
        self->file = stdout;
    } else if (is_special(path, &mode)) {
        self->file = fopen(path, "we");
        err = self->file ? 0 : -errno;
    } else {
        err = open_beside(self, mode);
    }
    if (err < 0) {
        complain(self, -err);
        forget(self);
    }
    return err == 0;
}

/* 0 or an error as errno. */
static int close_file(struct whole_file *self)
{
    int err = 0;

    if (fflush(self->file) != 0 || ferror(self->file)) {
        err = errno ? errno : EIO;
    }
    if (self->file != stdout && fclose(self->file) != 0 && err == 0) {
        err = errno;
    }
    self->file = NULL;
    return err;
}

bool whole_file_keep(struct whole_file *self)
{
    if (!self->file) {
        return true;
    }
    int err = close_file(self);
    if (self->temporary && err == 0 &&
        rename(self->temporary, self->target) < 0) {
        err = errno;
    }
    if (err != 0) {
        complain(self, err);
        if (self->temporary) {
            unlink(self->temporary);
        }
    }
    forget(self);
    return err == 0;
}

void whole_file_drop(struct whole_file *self)
{
    if (!self->file) {
        return;
    }
    /* What it had to say is not wanted. */
    (void)close_file(self);
    if (self->temporary) {
        unlink(self->temporary);
    }
    forget(self);
}
