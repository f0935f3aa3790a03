/*
 * Key logs: which files are refused, who has one open, what is appended, and
 * files that were moved away.
 *
 * The files are real, in a folder of each test.
 */
#define UNIT_RUN with_folder
#include "tools/common/key_log.c"

#include "tests/unit.h"

#include <stdarg.h>

static char folder[32];
static char path[64];
static char other[64];
static char said[1024];
static char why[OPTION_WHY_SIZE];

bool say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(said, sizeof(said), format, args);
    va_end(args);
    return false;
}

void console_write(const char *text, size_t len)
{
    (void)text;
    (void)len;
}

static void with_folder(void (*body)(void))
{
    snprintf(folder, sizeof(folder), "/tmp/weir-key-log-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/log", folder);
    snprintf(other, sizeof(other), "%s/other", folder);
    umask(0);
    body();
    unlink(path);
    unlink(other);
    cr_assert(rmdir(folder) == 0);
}

static struct key_log *opened(const char *name)
{
    struct key_log *log = key_log_find(name);

    cr_assert_not_null(log);
    cr_assert(key_log_open(log, geteuid(), why), "%s", why);
    return log;
}

static void expect_content(const char *name, const char *wanted)
{
    char text[1024];
    FILE *file = fopen(name, "re");

    cr_assert_not_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    expect_str_eq(text, wanted);
}

static mode_t mode_of(const char *name)
{
    struct stat facts;

    cr_assert(stat(name, &facts) == 0);
    return facts.st_mode & 07777;
}

/* Makes a file with this mode. */
static void make(const char *name, mode_t mode)
{
    const int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, mode);

    cr_assert(fd >= 0 && fchmod(fd, mode) == 0);
    close(fd);
}

static void expect_refused(uid_t user, const char *says)
{
    struct key_log *log = key_log_find(path);

    why[0] = '\0';
    cr_assert(!key_log_open(log, user, why));
    cr_assert_not_null(strstr(why, says), "%s", why);
    why[0] = '\0';
    cr_assert(!key_log_try(log, user, why));
    cr_assert_not_null(strstr(why, says), "%s", why);
}

UNIT(key_log, a_file_is_made_for_its_owner_and_appended_to)
{
    struct key_log *log = opened(path);

    expect_eq(mode_of(path), 0600);
    key_log_write(log, "CLIENT_RANDOM aa bb");
    key_log_close(log);
    log = opened(path);
    key_log_write(log, "CLIENT_RANDOM cc dd");
    key_log_close(log);
    expect_content(path, "CLIENT_RANDOM aa bb\nCLIENT_RANDOM cc dd\n");
}

UNIT(key_log, what_others_may_read_or_write_is_refused)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0601, 0610};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        make(path, modes[i]);
        expect_refused(geteuid(), "(0600)");
        unlink(path);
    }
}

UNIT(key_log, links_pipes_and_folders_are_refused)
{
    make(other, 0600);
    cr_assert(symlink(other, path) == 0);
    expect_refused(geteuid(), strerror(ELOOP));
    unlink(path);
    cr_assert(link(other, path) == 0);
    expect_refused(geteuid(), "with one name");
    unlink(path);
    cr_assert(mkfifo(path, 0600) == 0);
    expect_refused(geteuid(), strerror(ENXIO)); /* it has no reader */
    const int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    expect_refused(geteuid(), "it must be a regular file");
    close(reader);
    unlink(path);
    cr_assert(mkdir(path, 0700) == 0);
    expect_refused(geteuid(), strerror(EISDIR));
    rmdir(path);
}

UNIT(key_log, the_file_of_another_user_is_refused_but_that_of_the_one_to_be)
{
    enum { SOMEBODY = 65534 };

    make(path, 0600);
    if (chown(path, SOMEBODY, (gid_t)-1) < 0) {
        return; /* this requires root */
    }
    expect_refused(geteuid(), "owned by the user of this process");
    cr_assert(key_log_try(key_log_find(path), SOMEBODY, why), "%s", why);
    cr_assert(key_log_open(key_log_find(path), SOMEBODY, why), "%s", why);
    key_log_close(key_log_find(path));
}

UNIT(key_log, a_look_makes_no_file)
{
    cr_assert(key_log_try(key_log_find(path), geteuid(), why), "%s", why);
    expect_eq(access(path, F_OK), -1);
}

UNIT(key_log, a_look_sees_that_there_is_no_folder)
{
    char below[80];
    snprintf(below, sizeof(below), "%s/none/log", folder);
    why[0] = '\0';
    cr_assert(!key_log_try(key_log_find(below), geteuid(), why));
    cr_assert_not_null(strstr(why, strerror(ENOENT)), "%s", why);
    cr_assert(key_log_try(key_log_find("weir-key-log-none"), geteuid(), why));
    cr_assert(key_log_try(key_log_find("/weir-key-log-none"), 0, why));
}

UNIT(key_log, a_warning_comes_once_until_the_log_is_closed)
{
    struct key_log *log = opened(path);
    key_log_warn(log);
    cr_assert_not_null(strstr(said, path), "%s", said);
    said[0] = '\0';
    key_log_warn(log);
    expect_str_eq(said, "");
    key_log_close(log);
    key_log_warn(log);
    cr_assert_not_null(strstr(said, path), "%s", said);
}

UNIT(key_log, the_last_one_who_has_it_closes_it)
{
    struct key_log *log = opened(path);

    expect_eq(opened(path), log);
    key_log_close(log);
    key_log_write(log, "A a a");
    key_log_close(log);
    key_log_write(log, "B b b");
    expect_eq(log->fd, -1);
    expect_content(path, "A a a\n");
    key_log_write(key_log_find(other), "C c c");
    expect_eq(access(other, F_OK), -1); /* no log has opened it */
}

UNIT(key_log, files_that_were_moved_away_are_opened_anew)
{
    struct key_log *log = opened(path);

    key_log_write(log, "A a a");
    cr_assert(rename(path, other) == 0);
    key_log_write(log, "B b b");
    key_logs_reopen();
    key_log_write(log, "C c c");
    expect_content(other, "A a a\nB b b\n");
    expect_content(path, "C c c\n");
    expect_eq(mode_of(path), 0600);
    key_log_close(log);
}

UNIT(key_log, the_old_file_stays_where_the_new_one_is_refused)
{
    struct key_log *log = opened(path);

    cr_assert(rename(path, other) == 0);
    make(path, 0644);
    key_logs_reopen();
    cr_assert_not_null(strstr(said, "the old file stays"), "%s", said);
    key_log_write(log, "A a a");
    expect_content(other, "A a a\n");
    expect_content(path, "");
    key_log_close(log);
}

UNIT(key_log, a_line_that_has_no_room_is_told_once_and_mixes_with_no_other)
{
    struct key_log *log = opened(path);
    const int fd = log->fd;

    log->fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    key_log_write(log, "A a a");
    cr_assert_not_null(strstr(said, "secrets are missing"), "%s", said);
    said[0] = '\0';
    key_log_write(log, "B b b");
    expect_str_eq(said, "");
    close(log->fd);
    log->fd = fd;
    key_log_write(log, "C c c");
    key_log_write(log, "D d d");
    expect_content(path, "\nC c c\nD d d\n");
    key_log_close(log);
}

UNIT(key_log, a_line_that_is_too_long_is_left_out)
{
    struct key_log *log = opened(path);
    char line[LINE_SIZE];

    memset(line, 'a', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    key_log_write(log, line);
    line[sizeof(line) - 2] = '\0';
    key_log_write(log, line);
    struct stat facts;
    cr_assert(stat(path, &facts) == 0);
    expect_eq(facts.st_size, LINE_SIZE - 1);
    key_log_close(log);
}
