/*
 * weir-proxy's default memory limit: the limit of its cgroup is found in a
 * folder that looks like a file system, for both versions of cgroups and any
 * contents of the files.
 *
 * No file of this machine is read.
 */
#define UNIT_RUN in_folder
#include "tests/unit.h"
#include "tools/weir-proxy/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NONE UINT64_MAX
#define V1   "/sys/fs/cgroup/memory"
#define V2   "/sys/fs/cgroup"

static char root[32];

static int remove_one(const char *path, const struct stat *status, int flag,
                      struct FTW *ftw)
{
    return remove(path);
}

static void in_folder(void (*body)(void))
{
    strcpy(root, "/tmp/weir-memory-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    body();
    expect_eq(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Writes a file below the root, and creates its folders. */
static void have(const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s%s", root, name);
    for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        cr_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
        *at = '/';
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert(fd >= 0);
    expect_eq((size_t)write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void is_in(const char *lines)
{
    have("/proc/self/cgroup", lines);
}

static void finds(uint64_t limit)
{
    expect_eq(memory_read_cgroup_limit(root), limit);
}

UNIT(proxy_memory, without_files_there_is_no_limit)
{
    finds(NONE);
    is_in("");
    finds(NONE);
    is_in("0::/a/b\n4:memory:/c\n");
    finds(NONE);
}

UNIT(proxy_memory, a_limit_of_version_2_is_found)
{
    is_in("0::/a\n");
    have(V2 "/a/memory.max", "1000000\n");
    finds(1000000);
}

UNIT(proxy_memory, a_limit_of_version_1_is_found)
{
    is_in("9:cpu,cpuacct:/c\n4:hugetlb,memory:/a\n");
    have(V1 "/a/memory.limit_in_bytes", "2000000\n");
    have(V1 "/c/memory.limit_in_bytes", "1\n");
    finds(2000000);
}

UNIT(proxy_memory, the_least_limit_on_the_way_to_the_root_counts)
{
    is_in("0::/a/b/c\n");
    have(V2 "/a/b/c/memory.max", "3000\n");
    finds(3000);
    have(V2 "/a/memory.max", "2000\n");
    finds(2000);
    have(V2 "/a/b/memory.max", "2500\n");
    finds(2000);
    have(V2 "/memory.max", "1000\n");
    finds(1000);
    have(V2 "/a/b/c/memory.max", "500\n");
    finds(500);
    have(V2 "/a/b/c/d/memory.max",
         "1\n"); /* it is below the program's cgroup */
    finds(500);
}

UNIT(proxy_memory, the_lesser_limit_of_both_versions_counts)
{
    is_in("4:memory:/a\n0::/b\n");
    have(V1 "/a/memory.limit_in_bytes", "1000\n");
    have(V2 "/b/memory.max", "2000\n");
    finds(1000);
    have(V2 "/b/memory.max", "900\n");
    finds(900);
}

UNIT(proxy_memory, max_is_no_limit)
{
    is_in("0::/a/b\n");
    have(V2 "/a/b/memory.max", "max\n");
    finds(NONE);
    have(V2 "/a/memory.max", "5000\n");
    finds(5000);
}

UNIT(proxy_memory, a_path_that_only_the_host_has_ends_at_the_root)
{
    is_in("4:memory:/docker/0123456789abcdef\n");
    have(V1 "/memory.limit_in_bytes", "7000\n");
    finds(7000);
    is_in("0::/../../outside\n");
    have("/sys/fs/outside/memory.max", "1\n");
    have("/sys/outside/memory.max", "1\n");
    have(V2 "/memory.max", "8000\n");
    finds(8000);
}

UNIT(proxy_memory, what_is_no_number_is_no_limit)
{
    static const char *const wrong[] = {
        "",     "\n",    "-1\n", " 5\n",  "5 6\n",
        "5K\n", "0x5\n", "+5\n", "MAX\n", "99999999999999999999\n"};

    is_in("0::/a\n");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        have(V2 "/a/memory.max", wrong[i]);
        finds(NONE);
    }
    have(V2 "/a/memory.max", "5"); /* without a newline */
    finds(5);
}

UNIT(proxy_memory, lines_that_name_no_cgroup_are_passed_over)
{
    have(V2 "/memory.max", "6000\n");
    have(V1 "/memory.limit_in_bytes", "1\n");
    is_in("\n::\nmemory\n7\n7:cpu\n:\n3:memoryless:/\n3:a,nomemory,b:/\n");
    finds(6000); /* for "::", which is a line of version 2 */
    is_in("7:cpu:/\nx\n");
    finds(NONE);
}

UNIT(proxy_memory, a_path_that_is_too_long_leads_to_no_other_file)
{
    static char line[8192];

    memset(line, 'a', sizeof(line) - 1);
    memcpy(line, "0::/", 4);
    is_in(line);
    have(V2 "/memory.max", "4000\n");
    finds(4000);
}

UNIT(proxy_memory, a_quarter_is_taken_and_the_least_for_each_thread)
{
    const uint64_t gib = UINT64_C(1) << 30;

    expect_eq(memory_share(8 * gib, 1), 2 * gib);
    expect_eq(memory_share(8 * gib, 16), 2 * gib);
    expect_eq(memory_share(8 * gib, 17), 17 * MEMORY_DEFAULT_LEAST);
    expect_eq(memory_share(0, 2), 2 * MEMORY_DEFAULT_LEAST);
    expect_eq(memory_share(UINT64_MAX, 1), UINT64_MAX / 4);
    cr_assert(memory_default_limit(3) >= 3 * MEMORY_DEFAULT_LEAST);
}
