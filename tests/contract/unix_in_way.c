/*
 * Files at a Unix server's path, and what happens to them.
 *
 * They are files of sockets that live or have died, other files, and files of
 * servers that want the same path at the same moment.
 */
#define UNIT_RUN   with_place
#define UNIT_TAKES struct maker *m, struct place *place
#include "tests/contract/place.h"

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <weir/unix.h>

enum { PATHS = 20, RIVALS = 6 };

struct start {
    struct maker *m;
    int *left;
    int err;
    weir_server *server;
};

static void start_done(void *arg, int err, weir_server *server)
{
    struct start *start = arg;
    start->err = err;
    start->m->done += --*start->left == 0;
}

static struct place place_number(const struct place *place, int number)
{
    struct place at = *place;
    snprintf(at.path, sizeof(at.path), "%.48s/%d", place->dir, number);
    return at;
}

/* An address in use is retried for seconds, so all servers start at once. */
static void serve_all(struct maker *m, const struct place *place, int first,
                      int count, struct start starts[])
{
    int left = count;
    m->done = 0;
    for (int i = 0; i < count; i++) {
        const int number = (first + i) % count;
        const struct place at = place_number(place, number);
        struct start *start = &starts[number];
        *start = (struct start){.m = m, .left = &left};
        expect_ok(weir_create_unix_server(m->loop, &m->factory, at.path, NULL,
                                          start_done, start, &start->server));
    }
    maker_run(m, maker_is_done);
}

UNIT(unix_in_way, the_file_of_a_server_that_died_is_replaced)
{
    place_litter(place);
    expect_eq(place_connect(place), -ECONNREFUSED);

    expect_eq(place_serve(m, place->path, NULL), 0);

    place_expect_served(m, place);
}

UNIT(unix_in_way, a_file_left_by_a_socket_of_another_type_is_replaced)
{
    close(place_bind(place, SOCK_DGRAM, -1));
    expect_eq(place_serve(m, place->path, NULL), 0);
    place_expect_served(m, place);
}

/* As after a process has died whose ring still holds the socket. */
UNIT(unix_in_way, a_path_that_becomes_stale_meanwhile_is_taken)
{
    const struct weir_server_options options = {.size = sizeof(options)};
    int fd = place_bind(place, SOCK_STREAM | SOCK_NONBLOCK, 4);
    m->done = 0;
    expect_ok(weir_create_unix_server(m->loop, &m->factory, place->path,
                                      &options, maker_server_done, m,
                                      &m->server));
    maker_run_for(m, 600 * MS);
    expect_eq(m->done, 0, "it is tried again");
    close(fd);
    maker_expect_done(m, 0);
    place_expect_served(m, place);
}

/* Each puts something at the path. Returns a descriptor that keeps it, or -1.
 */

static int put_server(const struct place *at)
{
    return place_bind(at, SOCK_STREAM | SOCK_NONBLOCK, 4);
}

static int put_socket_that_does_not_listen(const struct place *at)
{
    return place_bind(at, SOCK_STREAM, -1);
}

static int put_server_whose_queue_is_full(const struct place *at)
{
    int fd = place_bind(at, SOCK_STREAM, 0);
    close(place_connect(at));
    return fd;
}

static int put_datagram_socket(const struct place *at)
{
    return place_bind(at, SOCK_DGRAM, -1);
}

static int put_seqpacket_socket(const struct place *at)
{
    return place_bind(at, SOCK_SEQPACKET, -1);
}

static int put_file(const struct place *at)
{
    close(open(at->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    return -1;
}

static int put_directory(const struct place *at)
{
    cr_assert_eq(mkdir(at->path, 0700), 0);
    return -1;
}

static int put_link_to_stale_file(const struct place *at)
{
    const struct place stale = place_number(at, PATHS);
    place_litter(&stale);
    cr_assert_eq(symlink(stale.path, at->path), 0);
    return -1;
}

UNIT(unix_in_way, what_lives_or_is_no_socket_is_in_use_and_stays)
{
    int (*const puts[])(const struct place *at) = {
        put_server,
        put_socket_that_does_not_listen,
        put_server_whose_queue_is_full,
        put_datagram_socket,
        put_seqpacket_socket,
        put_file,
        put_directory,
        put_link_to_stale_file,
    };
    enum { COUNT = sizeof(puts) / sizeof(puts[0]) };
    struct start starts[COUNT];
    ino_t inodes[COUNT];
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        const struct place at = place_number(place, i);
        fds[i] = puts[i](&at);
        inodes[i] = place_inode(&at);
    }

    serve_all(m, place, 0, COUNT, starts);

    expect_eq(accept(fds[0], NULL, NULL), -1);
    expect_eq(errno, EAGAIN, "the server that lives notices nothing");
    for (int i = 0; i < COUNT; i++) {
        const struct place at = place_number(place, i);
        expect_eq(starts[i].err, -EADDRINUSE, "path %d", i);
        weir_server_free(starts[i].server);
        expect_eq(place_inode(&at), inodes[i], "path %d", i);
        cr_assert_eq(remove(at.path), 0);
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    const struct place stale = place_number(place, PATHS);
    cr_assert_eq(unlink(stale.path), 0, "it stays where a link leads, too");
}

static int take_fds(int fds[], int most, int left)
{
    int count = 0;

    while (count < most && (fds[count] = dup(STDERR_FILENO)) >= 0) {
        count++;
    }
    cr_assert_lt(count, most);
    while (left-- > 0) {
        close(fds[--count]);
    }
    return count;
}

UNIT(unix_in_way, a_want_of_descriptors_is_not_taken_for_a_path_in_use)
{
    const struct rlimit few = {256, 256};
    int fds[256];
    place_litter(place);
    expect_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    /* One for the server's socket, and one to lock the directory. */
    int count = take_fds(fds, 256, 2);
    const int err = place_serve(m, place->path, NULL);
    while (count > 0) {
        close(fds[--count]);
    }
    expect_eq(err, -EMFILE);
    weir_server_free(m->server);
    m->server = NULL;
    expect_eq(place_serve(m, place->path, NULL), 0);
}

/* Path at which another program, without the lock, acts between the server's
 * check for a socket and its next step. */
static const struct place *intruded;
static int intruder = -1;

/* The linker gives this program's connect() both names. */
int __real_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    const int ret = __real_connect(fd, address, len);
    if (intruded && get_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM) {
        const int err = errno;
        /* The new file is made before the old one is gone, so that it has
         * another inode. */
        struct place aside = place_number(intruded, 0);
        cr_assert_eq(rename(intruded->path, aside.path), 0);
        intruder = place_bind(intruded, SOCK_STREAM, 4);
        cr_assert_eq(unlink(aside.path), 0);
        intruded = NULL;
        errno = err;
    }
    return ret;
}

UNIT(unix_in_way, a_file_that_replaces_the_stale_one_meanwhile_is_left_alone)
{
    place_litter(place);
    intruded = place;
    m->done = 0;
    expect_ok(weir_create_unix_server(m->loop, &m->factory, place->path, NULL,
                                      maker_server_done, m, &m->server));
    do {
        weir_loop_stop(m->loop);
        expect_eq(weir_loop_run(m->loop), 0);
    } while (statistics_of(m->loop).timers == 0 && m->done == 0);
    expect_eq(m->done, 0, "it is in use");
    int fd = place_connect(place);
    expect_geq(fd, 0, "that socket is still reached");
    close(fd);
    close(intruder);
    maker_expect_done(m, 0);
    place_expect_served(m, place);
}

static bool unlink_is_refused;

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);

int __wrap_unlink(const char *path)
{
    if (unlink_is_refused) {
        errno = EACCES;
        return -1;
    }
    return __real_unlink(path);
}

/* As in a directory without write permission. */
UNIT(unix_in_way, a_stale_file_that_cannot_be_removed_is_the_error_of_the_start)
{
    place_litter(place);
    unlink_is_refused = true;
    expect_eq(place_serve(m, place->path, NULL), -EACCES);
    unlink_is_refused = false;
    weir_server_free(m->server);
    m->server = NULL;
    expect_eq(place_serve(m, place->path, NULL), 0);
    place_expect_served(m, place);
}

UNIT(unix_in_way, a_stale_file_is_left_alone_while_another_one_is_at_it)
{
    place_litter(place);
    int lock = open(place->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(flock(lock, LOCK_EX), 0);
    m->done = 0;
    expect_ok(weir_create_unix_server(m->loop, &m->factory, place->path, NULL,
                                      maker_server_done, m, &m->server));
    maker_run_until_timer(m);
    expect_eq(m->done, 0);

    close(lock);
    maker_expect_done(m, 0);
    place_expect_served(m, place);
}

/* Starts a process that starts servers on all paths when the pipe @go ends,
 * reports which of them listen, one bit each, and closes them when @stop ends.
 * Its exit status is 0 if the others found their path in use. */
static pid_t start_rival(const struct place *place, int first, const int go[2],
                         const int told[2], const int stop[2])
{
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    struct maker m;
    struct start starts[PATHS];
    uint32_t listening = 0;
    bool failed = false;
    char byte;
    close(go[1]);
    close(stop[1]);
    maker_open(&m);
    if (read(go[0], &byte, 1) > 0) {
        _exit(2);
    }
    serve_all(&m, place, first, PATHS, starts);
    for (int i = 0; i < PATHS; i++) {
        listening |= (uint32_t)(starts[i].err == 0) << i;
        failed = failed || (starts[i].err < 0 && starts[i].err != -EADDRINUSE);
    }
    if (write(told[1], &listening, sizeof(listening)) != sizeof(listening) ||
        read(stop[0], &byte, 1) != 0) {
        _exit(2);
    }
    for (int i = 0; i < PATHS; i++) {
        weir_server_free(starts[i].server);
    }
    maker_close(&m);
    _exit(failed);
}

static void expect_one_winner_each(const struct place *place, int told)
{
    uint32_t all = 0;
    uint32_t listening;
    for (int i = 0; i < RIVALS; i++) {
        cr_assert_eq(read(told, &listening, sizeof(listening)),
                     (ssize_t)sizeof(listening));
        expect_eq(all & listening, 0u, "two listen on one path");
        all |= listening;
    }
    expect_eq(all, (UINT32_C(1) << PATHS) - 1);
    for (int i = 0; i < PATHS; i++) {
        const struct place at = place_number(place, i);
        int fd = place_connect(&at);
        expect_geq(fd, 0, "the winner of path %d is reached", i);
        close(fd);
    }
}

UNIT(unix_in_way, of_several_that_start_at_once_on_a_stale_path_one_listens)
{
    int go[2];
    int told[2];
    int stop[2];
    pid_t pids[RIVALS];
    cr_assert_eq(pipe(go) | pipe(told) | pipe(stop), 0);
    for (int i = 0; i < PATHS; i++) {
        const struct place at = place_number(place, i);
        place_litter(&at);
    }
    for (int i = 0; i < RIVALS; i++) {
        pids[i] = start_rival(place, i % 2 * PATHS / 2, go, told, stop);
    }

    close_ends(go);

    expect_one_winner_each(place, told[0]);
    close_ends(stop);
    for (int i = 0; i < RIVALS; i++) {
        int status;
        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    close_ends(told);
    for (int i = 0; i < PATHS; i++) {
        const struct place at = place_number(place, i);
        cr_assert(!place_exists(&at));
    }
    expect_eq(m->made, 0);
}
