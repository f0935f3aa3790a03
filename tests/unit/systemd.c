/*
 * The protocols of a service manager, which the tests replace: sockets that a
 * child process gets at fixed descriptors, and a notification socket.
 *
 * Tests that depend on descriptors and on the process's id run in a child,
 * which returns the line of a failed check.
 */
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir/address.h>
#include <weir/systemd.h>

enum { SYSTEMD_FDS = 5, SYSTEMD_START = 3 };

static struct weir_systemd_fd passed[SYSTEMD_FDS];

#define CHILD_EXPECT(cond)                                                     \
    do {                                                                       \
        if (!(cond)) {                                                         \
            return __LINE__;                                                   \
        }                                                                      \
    } while (0)

/* Sets in the environment that @fds descriptors were passed to this process.
 * NULL unsets the variable. */
static void child_set(const char *fds, const char *names)
{
    char pid[24];
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (fds) {
        setenv("LISTEN_FDS", fds, 1);
    }
    if (names) {
        setenv("LISTEN_FDNAMES", names, 1);
    }
}

/* Returns true if a call takes nothing and returns this. */
static bool child_fails(int result)
{
    struct weir_systemd_fd before[SYSTEMD_FDS];
    memset(passed, 0x5a, sizeof(passed));
    memcpy(before, passed, sizeof(passed));
    return weir_systemd_listen_fds(false, passed, SYSTEMD_FDS) == result &&
           memcmp(before, passed, sizeof(passed)) == 0;
}

static bool child_is_cloexec(int fd)
{
    return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

/* Runs a function in a child with descriptors 3 and 4, which stay open in its
 * programs, and no descriptor 5 and above. */
static void child_run(int (*run)(void))
{
    int line = 0;
    const pid_t pid = fork();
    expect_geq(pid, 0);
    if (pid == 0) {
        const int sock = socket(AF_UNIX, SOCK_STREAM, 0);
        dup2(sock, SYSTEMD_START);
        dup2(sock, SYSTEMD_START + 1);
        fcntl(SYSTEMD_START, F_SETFD, 0);
        fcntl(SYSTEMD_START + 1, F_SETFD, 0);
        for (int fd = SYSTEMD_START + 2; fd < 256; fd++) {
            close(fd);
        }
        line = run();
        _exit(line == 0 ? 0 : 1 + line % 250);
    }
    expect_eq(waitpid(pid, &line, 0), pid);
    cr_assert(WIFEXITED(line));
    expect_eq(WEXITSTATUS(line), 0, "1 + line %% 250 of what did not hold");
}

static int child_takes(void)
{
    child_set("2", "web:web tls");
    CHILD_EXPECT(!child_is_cloexec(3));
    CHILD_EXPECT(weir_systemd_listen_fds(false, passed, 2) == 2);
    CHILD_EXPECT(passed[0].fd == 3 && strcmp(passed[0].name, "web") == 0);
    CHILD_EXPECT(passed[1].fd == 4 && strcmp(passed[1].name, "web tls") == 0);
    CHILD_EXPECT(child_is_cloexec(3) && child_is_cloexec(4));
    CHILD_EXPECT(getenv("LISTEN_FDS") && getenv("LISTEN_PID"));
    CHILD_EXPECT(weir_systemd_listen_fds(true, passed, SYSTEMD_FDS) == 2);
    CHILD_EXPECT(!getenv("LISTEN_PID") && !getenv("LISTEN_FDS") &&
                 !getenv("LISTEN_FDNAMES"));
    CHILD_EXPECT(child_fails(0));
    child_set("1", NULL);
    CHILD_EXPECT(weir_systemd_listen_fds(false, passed, 1) == 1);
    CHILD_EXPECT(strcmp(passed[0].name, "unknown") == 0);
    child_set("2", ":");
    CHILD_EXPECT(weir_systemd_listen_fds(false, passed, 2) == 2);
    CHILD_EXPECT(passed[0].name[0] == '\0' && passed[1].name[0] == '\0');
    return 0;
}

UNIT(systemd, descriptors_are_passed_with_names_and_closed_on_exec)
{
    child_run(child_takes);
}

static int child_ignores(void)
{
    char pid[24];
    unsetenv("LISTEN_PID");
    CHILD_EXPECT(child_fails(0));
    child_set(NULL, NULL);
    CHILD_EXPECT(child_fails(0));
    child_set("0", NULL);
    CHILD_EXPECT(child_fails(0));
    child_set("2", NULL);
    snprintf(pid, sizeof(pid), "%d", (int)getppid());
    setenv("LISTEN_PID", pid, 1);
    CHILD_EXPECT(child_fails(0));
    CHILD_EXPECT(!child_is_cloexec(3));
    CHILD_EXPECT(weir_systemd_listen_fds(true, NULL, 0) == 0);
    CHILD_EXPECT(!getenv("LISTEN_PID"));
    return 0;
}

UNIT(systemd, descriptors_of_another_process_are_no_error)
{
    child_run(child_ignores);
}

static int child_refuses(void)
{
    static const char *const bad[] = {"",   " 2", "2 ", "+2",
                                      "-1", "0x", "2a", "99999999999999999999"};
    char name[WEIR_SYSTEMD_NAME_SIZE + 1];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        child_set(bad[i], NULL);
        CHILD_EXPECT(child_fails(-EINVAL));
        child_set("2", NULL);
        setenv("LISTEN_PID", bad[i], 1);
        CHILD_EXPECT(child_fails(-EINVAL));
    }
    setenv("LISTEN_PID", "0", 1);
    CHILD_EXPECT(child_fails(-EINVAL));
    child_set("2147483645", NULL);
    CHILD_EXPECT(child_fails(-EINVAL));
    child_set("2", "one");
    CHILD_EXPECT(child_fails(-EINVAL));
    child_set("2", "one:two:");
    CHILD_EXPECT(child_fails(-EINVAL));
    memset(name, 'x', sizeof(name));
    name[WEIR_SYSTEMD_NAME_SIZE] = '\0';
    child_set("1", name);
    CHILD_EXPECT(child_fails(-EINVAL));
    CHILD_EXPECT(!child_is_cloexec(3));
    child_set("1", name + 1);
    CHILD_EXPECT(weir_systemd_listen_fds(false, passed, 1) == 1);
    CHILD_EXPECT(strcmp(passed[0].name, name + 1) == 0);
    child_set("3", NULL);
    CHILD_EXPECT(child_fails(-EBADF));
    child_set("6", NULL);
    CHILD_EXPECT(weir_systemd_listen_fds(true, passed, 5) == -ENOBUFS);
    CHILD_EXPECT(getenv("LISTEN_FDS"));
    CHILD_EXPECT(weir_systemd_listen_fds(true, NULL, 5) == -EINVAL);
    child_set("x", NULL);
    CHILD_EXPECT(weir_systemd_listen_fds(true, passed, 5) == -EINVAL);
    CHILD_EXPECT(!getenv("LISTEN_FDS"));
    return 0;
}

UNIT(systemd, malformed_variables_and_missing_descriptors_are_errors)
{
    child_run(child_refuses);
}

/* Opens a notification socket; @path is parsed like in
 * weir_address_parse_unix(). */
static int systemd_open(const char *path)
{
    struct weir_address addr;
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    expect_eq(weir_address_parse_unix(path, &addr), 0);
    expect_eq(bind(fd, &addr.storage.any, addr.len), 0);
    setenv("NOTIFY_SOCKET", path, 1);
    return fd;
}

static void systemd_expect(int fd, const char *state)
{
    char buf[256];
    const ssize_t len = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
    expect_geq(len, 0);
    buf[len] = '\0';
    expect_str_eq(buf, state);
    expect_lt(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), 0);
}

UNIT(systemd, the_state_is_one_datagram_to_a_path_or_an_abstract_name)
{
    char path[64];
    snprintf(path, sizeof(path), "/tmp/weir-systemd-%d", (int)getpid());
    int fd = systemd_open(path);
    expect_eq(weir_systemd_notify(false, "READY=1\nSTATUS=serving"), 1);
    systemd_expect(fd, "READY=1\nSTATUS=serving");
    unlink(path);
    expect_eq(weir_systemd_notify(false, "STOPPING=1"), -ENOENT);
    close(fd);

    snprintf(path, sizeof(path), "@weir-systemd-%d", (int)getpid());
    fd = systemd_open(path);
    expect_eq(weir_systemd_notify(true, "WATCHDOG=1"), 1);
    systemd_expect(fd, "WATCHDOG=1");
    cr_assert_null(getenv("NOTIFY_SOCKET"));
    close(fd);
    setenv("NOTIFY_SOCKET", path, 1);
    expect_eq(weir_systemd_notify(false, "WATCHDOG=1"), -ECONNREFUSED);
}

UNIT(systemd, a_slow_service_manager_is_not_waited_for)
{
    char path[64];
    int sent = 1;
    snprintf(path, sizeof(path), "@weir-systemd-%d", (int)getpid());
    const int fd = systemd_open(path);
    for (int i = 0; i < 100000 && sent == 1; i++) {
        sent = weir_systemd_notify(false, "WATCHDOG=1");
    }
    expect_eq(sent, -EAGAIN);
    close(fd);
}

UNIT(systemd, without_a_socket_nothing_is_told)
{
    char name[200] = "/";
    unsetenv("NOTIFY_SOCKET");
    expect_eq(weir_systemd_notify(false, "READY=1"), 0);
    setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
    expect_eq(weir_systemd_notify(false, "READY=1"), -EAFNOSUPPORT);
    setenv("NOTIFY_SOCKET", "", 1);
    expect_eq(weir_systemd_notify(false, "READY=1"), -EAFNOSUPPORT);
    memset(name + 1, 'x', sizeof(name) - 2);
    setenv("NOTIFY_SOCKET", name, 1);
    expect_eq(weir_systemd_notify(false, "READY=1"), -ENAMETOOLONG);
    expect_eq(weir_systemd_notify(false, ""), -EINVAL);
    expect_eq(weir_systemd_notify(true, NULL), -EINVAL);
    expect_eq(weir_systemd_notify(true, "READY=1"), -ENAMETOOLONG);
    cr_assert_null(getenv("NOTIFY_SOCKET"));
}

UNIT(systemd, the_watchdogs_time_is_in_nanoseconds)
{
    uint64_t timeout_ns = 7;
    char pid[24];

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    expect_eq(weir_systemd_get_watchdog(false, &timeout_ns), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    expect_eq(weir_systemd_get_watchdog(false, &timeout_ns), 1);
    expect_eq(timeout_ns, WEIR_SECONDS(30));
    setenv("WATCHDOG_PID", pid, 1);
    setenv("WATCHDOG_USEC", "18446744073709551", 1);
    expect_eq(weir_systemd_get_watchdog(false, &timeout_ns), 1);
    expect_eq(timeout_ns, UINT64_C(18446744073709551000));
    setenv("WATCHDOG_PID", "1", 1);
    expect_eq(weir_systemd_get_watchdog(false, &timeout_ns), 0);
    expect_eq(weir_systemd_get_watchdog(true, &timeout_ns), 0);
    cr_assert(!getenv("WATCHDOG_PID") && !getenv("WATCHDOG_USEC"));
}

UNIT(systemd, a_malformed_watchdog_is_an_error)
{
    static const char *const bad[] = {
        "", "0", "-1", "1s", "18446744073709552", "18446744073709551615"};
    uint64_t timeout_ns = 7;

    unsetenv("WATCHDOG_PID");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setenv("WATCHDOG_USEC", bad[i], 1);
        expect_eq(weir_systemd_get_watchdog(false, &timeout_ns), -EINVAL, "%s",
                  bad[i]);
    }
    setenv("WATCHDOG_USEC", "1", 1);
    setenv("WATCHDOG_PID", "x", 1);
    expect_eq(weir_systemd_get_watchdog(true, &timeout_ns), -EINVAL);
    cr_assert_null(getenv("WATCHDOG_USEC"));
    expect_eq(timeout_ns, 7);
    expect_eq(weir_systemd_get_watchdog(false, NULL), -EINVAL);
}
