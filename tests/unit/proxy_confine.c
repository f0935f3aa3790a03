/*
 * What a confined proxy can and cannot do, tested by a process that has dropped
 * its privileges.
 *
 * Features that this machine's kernel does not have are skipped.
 */
#include "tests/unit.h"
#include "tools/common/console.h"
#include "tools/weir-proxy/config/confine_paths.h"
#include "tools/weir-proxy/confine/confine.h"
#include "tools/weir-proxy/confine/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[4096]; /* printed with say(), one line after another */

bool say(const char *format, ...)
{
    const size_t len = strlen(said);
    va_list args;

    va_start(args, format);
    vsnprintf(said + len, sizeof(said) - len, format, args);
    va_end(args);
    return false;
}

void console_write(const char *text, size_t len)
{
    (void)text;
    (void)len;
}

#define SKIPPED 77

/* Runs it in a child process. Returns the line that failed, 0, or SKIPPED. */
static int run_apart(int (*body)(void))
{
    int status = 0;
    const pid_t child = fork();

    cr_assert(child >= 0);
    if (child == 0) {
        _exit(body());
    }
    expect_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "status %x", (unsigned)status);
    return WEXITSTATUS(status);
}

#define NEED(condition)                                                        \
    if (!(condition)) {                                                        \
        return __LINE__ % 256;                                                 \
    }

/* Error of a call that fails; 0 if it succeeds. */
#define ERROR_OF(call) ((call) < 0 ? errno : 0)

static void *do_nothing(void *arg)
{
    return arg;
}

static int try_calls(void)
{
    static char *const none[] = {NULL};
    pthread_t thread;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || filter_install() < 0) {
        return SKIPPED;
    }
    NEED(ERROR_OF(execve("/bin/false", none, none)) == EPERM);
    NEED(ERROR_OF(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == EPERM);
    NEED(ERROR_OF(syscall(SYS_ptrace, 0, 0, 0, 0)) == EPERM);
    NEED(ERROR_OF(syscall(SYS_setuid, 0)) == EPERM);
    NEED(ERROR_OF(syscall(SYS_mount, "", "", "", 0, "")) == EPERM);
    NEED(ERROR_OF(syscall(SYS_kill, getpid(), 0)) == EPERM);
    NEED(ERROR_OF(syscall(100000, 0)) == ENOSYS);
    NEED(ERROR_OF(socket(AF_PACKET, SOCK_RAW, 0)) == EAFNOSUPPORT);
    NEED(socket(AF_INET, SOCK_STREAM, 0) >= 0);
    NEED(socket(AF_UNIX, SOCK_DGRAM, 0) >= 0);
    NEED(open("/dev/null", O_RDWR | O_CLOEXEC) >= 0);
    NEED(pthread_create(&thread, NULL, do_nothing, NULL) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    return 0;
}

UNIT(proxy_confine, calls_that_serve_nothing_fail)
{
    const int line = run_apart(try_calls);
    cr_assert(line == 0 || line == SKIPPED, "line %d", line);
}

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name)
{
    FILE *file = fopen(in_folder(name), "we");
    cr_assert_not_null(file);
    fputs("x", file);
    fclose(file);
}

static int open_in(const char *name, int flags)
{
    return open(in_folder(name), flags | O_CLOEXEC, 0600);
}

static int try_files(void)
{
    char cert[128];
    char log[128];
    char *certs[] = {cert};
    struct config_service service = {.certs = {certs, 1}, .keys = {certs, 1}};
    const struct config config = {
        .services = &service, .service_count = 1, .log_path = log};

    snprintf(cert, sizeof(cert), "%s/certs/a.pem", folder);
    snprintf(log, sizeof(log), "%s/log/proxy.log", folder);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return SKIPPED;
    }
    const int abi = confine_paths(&config);
    if (abi < 0) {
        return SKIPPED;
    }
    NEED(abi >= 1);
    NEED(open_in("certs/a.pem", O_RDONLY) >= 0);
    NEED(open_in("certs/b.pem", O_RDONLY) >= 0);
    NEED(open_in("log/proxy.log.1", O_WRONLY | O_APPEND | O_CREAT) >= 0);
    NEED(open("/dev/null", O_RDWR | O_CLOEXEC) >= 0);
    NEED(ERROR_OF(open("/etc/passwd", O_RDONLY | O_CLOEXEC)) == EACCES);
    NEED(ERROR_OF(open_in("other", O_RDONLY)) == EACCES);
    NEED(ERROR_OF(open_in("certs/a.pem", O_WRONLY)) == EACCES);
    NEED(ERROR_OF(open_in("certs/c.pem", O_WRONLY | O_CREAT)) == EACCES);
    NEED(ERROR_OF(unlink(in_folder("certs/a.pem"))) == EACCES);
    NEED(ERROR_OF(open_in("log/proxy.log", O_RDONLY)) == EACCES);
    return 0;
}

/* The files of a certificate folder are links, and so is a folder that becomes
 * another one with the next release. */
static int try_links(void)
{
    char certs[128];
    char ca[128];
    char *texts[] = {certs};
    struct config_service service = {
        .certs = {texts, 1}, .keys = {texts, 1}, .client_ca = ca};
    const struct config config = {.services = &service, .service_count = 1};

    snprintf(certs, sizeof(certs), "%s/links", folder);
    snprintf(ca, sizeof(ca), "%s/current/a.pem", folder);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        confine_paths(&config) < 0) {
        return SKIPPED;
    }
    NEED(open_in("links/a.pem", O_RDONLY) >= 0);
    NEED(open_in("releases/1/a.pem", O_RDONLY) >= 0);
    NEED(open_in("releases/2/a.pem", O_RDONLY) >= 0);
    NEED(ERROR_OF(open_in("other", O_RDONLY)) == EACCES);
    return 0;
}

/* A log that is not a regular file is not created again in its folder. */
static int try_device(void)
{
    static char log[] = "/dev/full";
    const struct config config = {.log_path = log};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        confine_paths(&config) < 0) {
        return SKIPPED;
    }
    NEED(open(log, O_WRONLY | O_APPEND | O_CLOEXEC) >= 0);
    NEED(ERROR_OF(open("/dev/zero", O_WRONLY | O_CLOEXEC)) == EACCES);
    return 0;
}

/* The name of a target is looked up there. */
static int try_names(void)
{
    struct config_target target = {.at = {.host = "a.test"}};
    struct config_route route = {.targets = &target, .target_count = 1};
    struct config_service service = {.routes = &route, .route_count = 1};
    const struct config config = {.services = &service, .service_count = 1};

    if (access("/etc/hosts", R_OK) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        confine_paths(&config) < 0) {
        return SKIPPED;
    }
    NEED(open("/etc/hosts", O_RDONLY | O_CLOEXEC) >= 0);
    NEED(ERROR_OF(open_in("other", O_RDONLY)) == EACCES);
    return 0;
}

static void make_link(const char *to, const char *name)
{
    expect_eq(symlink(to, in_folder(name)), 0);
}

static void make_folder(const char *name)
{
    expect_eq(mkdir(in_folder(name), 0755), 0);
}

static void with_folder(void (*body)(void))
{
    char command[128];

    said[0] = '\0';
    snprintf(folder, sizeof(folder), "/tmp/proxy-confine-%ld", (long)getpid());
    expect_eq(mkdir(folder, 0755), 0);
    make_folder("certs");
    make_folder("log");
    make_folder("links");
    make_folder("releases");
    make_folder("releases/1");
    make_folder("releases/2");
    make_link("../certs/a.pem", "links/a.pem");
    make_link("releases/1", "current");
    write_file("releases/1/a.pem");
    write_file("releases/2/a.pem");
    write_file("certs/a.pem");
    write_file("certs/b.pem");
    write_file("log/proxy.log");
    write_file("other");
    body();
    snprintf(command, sizeof(command), "rm -r %s", folder);
    expect_eq(system(command), 0);
}

UNIT_IN(proxy_confine, files_that_are_not_named_are_out_of_reach, with_folder,
        void)
{
    const int line = run_apart(try_files);
    cr_assert(line == 0 || line == SKIPPED, "line %d", line);
}

UNIT_IN(proxy_confine, what_links_lead_to_is_within_reach, with_folder, void)
{
    const int line = run_apart(try_links);
    cr_assert(line == 0 || line == SKIPPED, "line %d", line);
}

UNIT_IN(proxy_confine, names_of_targets_can_be_looked_up, with_folder, void)
{
    const int line = run_apart(try_names);
    cr_assert(line == 0 || line == SKIPPED, "line %d", line);
}

UNIT_IN(proxy_confine, a_log_that_is_a_device_is_the_only_one_that_is_written,
        with_folder, void)
{
    const int line = run_apart(try_device);
    cr_assert(line == 0 || line == SKIPPED, "line %d", line);
}

static char why[OPTION_WHY_SIZE];

static bool check(const char *user, const char *group, const char *root)
{
    const struct config config = {
        .user = (char *)user, .group = (char *)group, .chroot = (char *)root};

    return confine_check(&config, why);
}

UNIT_IN(proxy_confine, users_and_folders_that_there_are_not_are_refused,
        with_folder, void)
{
    cr_assert_not(check("no-such-user", NULL, NULL));
    cr_assert_not_null(strstr(why, "user: there is no 'no-such-user'"));
    cr_assert_not(check(NULL, "no-such-group", NULL));
    cr_assert_not_null(strstr(why, "group: there is no 'no-such-group'"));
    if (geteuid() != 0) {
        cr_assert_not(check(NULL, NULL, "/"));
        cr_assert_not_null(strstr(why, "chroot needs to be started by root"));
        return;
    }
    cr_assert_not(check(NULL, NULL, in_folder("other")));
    cr_assert_not_null(strstr(why, "is not a folder"));
    cr_assert(check("nobody", NULL, folder));
    cr_assert(check("65534", "0", NULL));
}

static int become_nobody(void)
{
    static char user[] = "nobody";
    const struct config config = {.user = user, .chroot = folder};
    struct confinement confinement;

    NEED(confine_get_user(&config) == 65534);
    NEED(confine_begin(&config, &confinement) == 0);
    NEED(confinement.is_confined && !confinement.has_filter);
    NEED(geteuid() == 65534 && getuid() == 65534 && getegid() != 0);
    NEED(getgroups(0, NULL) == 0);
    NEED(ERROR_OF(setuid(0)) == EPERM);
    NEED(open("/other", O_RDONLY | O_CLOEXEC) >= 0);
    NEED(ERROR_OF(open("/etc/passwd", O_RDONLY | O_CLOEXEC)) == ENOENT);
    NEED(strstr(said, "confined: user 65534,root "));
    return 0;
}

UNIT_IN(proxy_confine, root_becomes_another_user_in_another_root, with_folder,
        void)
{
    if (geteuid() == 0) {
        const int line = run_apart(become_nobody);
        cr_assert(line == 0, "line %d", line);
    }
}

/* Returns a user who is a member of another group than its own, or NULL. */
static const struct passwd *find_member(void)
{
    const struct group *group;
    const struct passwd *found = NULL;

    setgrent();
    while (!found && (group = getgrent())) {
        if (group->gr_mem[0]) {
            found = getpwnam(group->gr_mem[0]);
        }
    }
    endgrent();
    return found;
}

/* Given by number, the user has the same groups as by name. */
static int become_member(void)
{
    char user[16];
    const struct config config = {.user = user};
    struct confinement confinement;
    const struct passwd *member = find_member();

    if (!member) {
        return SKIPPED;
    }
    snprintf(user, sizeof(user), "%u", member->pw_uid);
    NEED(confine_begin(&config, &confinement) == 0);
    NEED(geteuid() == member->pw_uid);
    NEED(getgroups(0, NULL) > 0);
    return 0;
}

UNIT_IN(proxy_confine, a_user_by_its_number_has_its_groups, with_folder, void)
{
    if (geteuid() == 0) {
        const int line = run_apart(become_member);
        cr_assert(line == 0 || line == SKIPPED, "line %d", line);
    }
}
