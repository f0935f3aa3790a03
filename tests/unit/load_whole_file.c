/*
 * Files that are written completely or not at all: the contents of the path
 * while a file is written, and when it is kept, dropped or cannot be written.
 *
 * The files are real, in a folder of each test.
 */
#define UNIT_RUN with_folder
#include <errno.h>
#include <stdio.h>

/* Error of rename(); 0 if it succeeds. */
static int rename_err;

static int take_or_fail(const char *from, const char *to)
{
    errno = rename_err;
    return rename_err != 0 ? -1 : rename(from, to);
}

#define rename take_or_fail
#include "tools/weir-load/output/whole_file.c"
#undef rename

#include "tests/unit.h"

#include <dirent.h>
#include <stdarg.h>

static char folder[] = "/tmp/weir-whole-XXXXXX";
static char path[64];
static char said[256];
static struct whole_file whole;

bool say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(said, sizeof(said), format, args);
    va_end(args);
    return false;
}

static const char *in_folder(const char *name)
{
    static char names[2][64];
    static unsigned turn;
    char *ret = names[turn++ % 2];

    snprintf(ret, sizeof(names[0]), "%s/%s", folder, name);
    return ret;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static const char *get(const char *name)
{
    static char text[64];

    FILE *file = fopen(name, "r");
    if (!file) {
        return NULL;
    }
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static unsigned count_files(void)
{
    unsigned count = 0;

    DIR *dir = opendir(folder);
    cr_assert_not_null(dir);
    for (const struct dirent *entry = readdir(dir); entry;
         entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static void with_folder(void (*body)(void))
{
    snprintf(folder, sizeof(folder), "/tmp/weir-whole-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/file", folder);
    said[0] = '\0';
    rename_err = 0;
    body();
    unlink(in_folder("link"));
    unlink(path);
    expect_eq(rmdir(folder), 0, "files are left");
}

static void begin(const char *text)
{
    cr_assert(whole_file_open(&whole, "--x", path), "%s", said);
    fputs(text, whole.file);
    fflush(whole.file);
}

UNIT(load_whole_file, it_is_there_when_it_is_kept_and_not_before)
{
    begin("new");
    expect_eq(get(path), NULL);
    cr_assert(whole_file_keep(&whole));
    expect_str_eq(get(path), "new");
    expect_eq(count_files(), 1);
}

UNIT(load_whole_file, it_is_as_it_was_until_it_is_kept)
{
    put(path, "old");
    begin("new");
    expect_str_eq(get(path), "old");
    cr_assert(whole_file_keep(&whole));
    expect_str_eq(get(path), "new");

    begin("newer");
    whole_file_drop(&whole);
    expect_str_eq(get(path), "new");
    expect_eq(count_files(), 1);
    whole_file_drop(&whole); /* again: nothing is open */
}

UNIT(load_whole_file, a_link_stays_and_permissions_stay)
{
    struct stat status;

    put(path, "old");
    expect_eq(chmod(path, 0640), 0);
    expect_eq(symlink("file", in_folder("link")), 0);
    cr_assert(whole_file_open(&whole, "--x", in_folder("link")));
    fputs("new", whole.file);
    cr_assert(whole_file_keep(&whole));

    expect_str_eq(get(path), "new");
    expect_eq(lstat(in_folder("link"), &status), 0);
    cr_assert(S_ISLNK(status.st_mode));
    expect_eq(stat(path, &status), 0);
    expect_eq(status.st_mode & 0777, 0640);
}

UNIT(load_whole_file, what_cannot_be_opened_is_told)
{
    cr_assert_not(whole_file_open(&whole, "--x", "/nonexistent/file"));
    expect_str_eq(said, "--x: /nonexistent/file: No such file or directory");
    cr_assert_not(whole_file_open(&whole, "--y", folder));
    cr_assert_not_null(strstr(said, ": Is a directory"));
    cr_assert(whole_file_open(&whole, "--x", NULL));
    expect_eq(whole.file, NULL);
    cr_assert(whole_file_keep(&whole));
}

UNIT(load_whole_file, a_device_is_written_as_it_is)
{
    cr_assert(whole_file_open(&whole, "--x", "/dev/full"));
    fputs("text", whole.file);
    cr_assert_not(whole_file_keep(&whole));
    expect_str_eq(said, "--x: /dev/full: No space left on device");
    cr_assert(whole_file_open(&whole, "--x", "/dev/null"));
    whole_file_drop(&whole);
    cr_assert(access("/dev/null", W_OK) == 0);
}

UNIT(load_whole_file, what_cannot_take_its_name_stays_and_is_told)
{
    begin("new");
    expect_eq(mkdir(path, 0700), 0);
    cr_assert_not(whole_file_keep(&whole));
    expect_eq(rmdir(path), 0);
    expect_eq(count_files(), 1);
    const char *kept = strstr(said, ": Is a directory; the output is in ");
    cr_assert_not_null(kept);
    kept = strrchr(kept, ' ') + 1;
    expect_str_eq(get(kept), "new");
    expect_eq(unlink(kept), 0);
}

UNIT(load_whole_file, what_another_file_is_mounted_on_is_written_in_place)
{
    static const int errors[] = {EBUSY, EXDEV};
    struct stat before;
    struct stat after;

    put(path, "old and longer");
    expect_eq(stat(path, &before), 0);
    for (size_t i = 0; i < 2; i++) {
        begin("new");
        rename_err = errors[i];
        cr_assert(whole_file_keep(&whole), "%s", said);
        expect_str_eq(get(path), "new");
        expect_eq(stat(path, &after), 0);
        expect_eq(after.st_ino, before.st_ino);
        expect_eq(count_files(), 1);
    }
}

UNIT(load_whole_file, a_file_in_place_that_fails_leaves_what_was_written)
{
    begin("new");
    rename_err = EBUSY;
    cr_assert_not(whole_file_keep(&whole)); /* the target does not exist */
    const char *kept = strrchr(said, ' ');
    cr_assert_not_null(kept);
    expect_str_eq(get(kept + 1), "new");
    expect_eq(unlink(kept + 1), 0);
}

UNIT(load_whole_file, one_that_was_killed_is_not_in_the_way)
{
    struct whole_file killed;

    cr_assert(whole_file_open(&killed, "--x", path));
    begin("new");
    cr_assert(whole_file_keep(&whole));
    expect_str_eq(get(path), "new");
    whole_file_drop(&killed);
    expect_str_eq(get(path), "new");
}

UNIT(load_whole_file, a_link_to_what_is_not_there_stays_one)
{
    struct stat status;

    expect_eq(symlink("file", in_folder("link")), 0);
    expect_eq(whole_file_check(in_folder("link")), 0);
    cr_assert(whole_file_open(&whole, "--x", in_folder("link")), "%s", said);
    fputs("new", whole.file);
    cr_assert(whole_file_keep(&whole), "%s", said);
    expect_str_eq(get(path), "new");
    expect_eq(lstat(in_folder("link"), &status), 0);
    cr_assert(S_ISLNK(status.st_mode));

    expect_eq(unlink(in_folder("link")), 0);
    expect_eq(symlink("link", in_folder("link")), 0);
    cr_assert_not(whole_file_open(&whole, "--x", in_folder("link")));
    cr_assert_not_null(strstr(said, ": Too many levels of symbolic links"));
}

UNIT(load_whole_file, a_file_that_nobody_may_read_stays_one)
{
    struct stat status;

    put(path, "old");
    expect_eq(chmod(path, 0), 0);
    if (whole_file_open(&whole, "--x", path)) { /* as root */
        cr_assert(whole_file_keep(&whole));
    } else {
        cr_assert_not_null(strstr(said, ": Permission denied"));
        expect_eq(whole_file_check(path), -EACCES);
    }
    expect_eq(stat(path, &status), 0);
    expect_eq(status.st_mode & 0777, 0);
}

UNIT(load_whole_file, a_check_makes_nothing)
{
    put(path, "old");
    expect_eq(whole_file_check(path), 0);
    expect_eq(whole_file_check(in_folder("other")), 0);
    expect_eq(whole_file_check(folder), -EISDIR);
    expect_eq(whole_file_check("/nonexistent/file"), -ENOENT);
    expect_eq(whole_file_check("/dev/null"), 0);
    expect_str_eq(get(path), "old");
    expect_eq(count_files(), 1);
}
