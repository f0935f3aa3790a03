/*
 * Files that are written whole or not at all: what stands under the name while
 * one is written, when it is kept, dropped or cannot be written.
 *
 * Files are real and stand in a folder that each test has for itself.
 */
#define UNIT_RUN with_folder
#include "tools/weir-load/whole_file.c"

#include "tests/unit.h"

#include <dirent.h>
#include <stdarg.h>

static char folder[] = "/tmp/weir-whole-XXXXXX";
static char path[64];
static char said[256];
static struct whole_file whole;

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(said, sizeof(said), format, args);
    va_end(args);
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

UNIT(load_whole_file, a_name_that_is_taken_meanwhile_leaves_nothing_behind)
{
    begin("new");
    expect_eq(mkdir(path, 0700), 0);
    cr_assert_not(whole_file_keep(&whole));
    cr_assert_not_null(strstr(said, ": Is a directory"));
    expect_eq(rmdir(path), 0);
    expect_eq(count_files(), 0);
}
