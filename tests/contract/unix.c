/*
 * Unix servers on real files: what is in the way of a server and what becomes
 * of it, what a server leaves behind, and servers that want the same path at
 * the same moment. Clients are in unix_connect.c; what all stream transports
 * have in common is in the suites over all makers.
 */
#define UNIT_RUN   with_place
#define UNIT_TAKES struct maker *m, struct place *place
#include "tests/contract/place.h"

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { ROUNDS = 20, RIVALS = 6 };

/* Starts a server on the path and waits for its done: the error. */
static int wait_told(struct maker *m, int err)
{
    if (err < 0) {
        return err;
    }
    maker_run(m, maker_is_done);
    return m->done_err;
}

static int serve_with(struct maker *m, const char *path,
                      const struct weir_server_options *options)
{
    m->done = 0;
    return wait_told(m, weir_create_unix_server(m->loop, &m->factory, path,
                                                options, maker_server_done, m,
                                                &m->server));
}

static int adopt_with(struct maker *m, int fd,
                      const struct weir_server_options *options)
{
    m->done = 0;
    return wait_told(m, weir_adopt_server(m->loop, &m->factory, fd, options,
                                          maker_server_done, m, &m->server));
}

static int serve(struct maker *m, const char *path)
{
    const struct weir_server_options options = {.size = sizeof(options)};
    return serve_with(m, path, &options);
}

/* Expects that a client of the path reaches this server. */
static void expect_served(struct maker *m, const struct place *place)
{
    const int made = m->made;
    const int lost = m->lost;
    char text[8];
    m->echo = true;
    int fd = place_connect(place);
    expect_geq(fd, 0);
    expect_eq(send(fd, "hello", 5, 0), 5);
    expect_eq(maker_read(m, fd, text, sizeof(text)), 5);
    expect_eq(m->made, made + 1);
    close(fd);
    maker_run_for(m, 5 * MS);
    expect_eq(m->lost, lost + 1);
}

/* Expects that the path is in use, for whoever tries, and that it stays. */
static void expect_in_use(struct maker *m, const struct place *place)
{
    const ino_t inode = place_inode(place);
    expect_eq(serve(m, place->path), -EADDRINUSE);
    expect_eq(place_inode(place), inode);
    weir_server_free(m->server);
    m->server = NULL;
    expect_eq(place_inode(place), inode, "closing removes nothing either");
}

/* ---- listening ---- */

UNIT(unix_socket, a_server_listens_on_a_path_and_removes_it_when_closed)
{
    struct weir_address address;
    const struct weir_address wanted = place_address(place);

    expect_eq(serve(m, place->path), 0);
    expect_served(m, place);
    expect_geq(weir_server_get_socket(m->server, 0, &address), 0);
    cr_assert(weir_address_is_equal(&address, &wanted));

    weir_server_close(m->server);
    cr_assert(!place_exists(place), "at once");
    expect_eq(place_connect(place), -ENOENT);
}

UNIT(unix_socket, the_end_of_the_loop_removes_the_path)
{
    struct maker other;
    maker_open(&other);
    expect_eq(serve(&other, place->path), 0);
    cr_assert(place_exists(place));

    maker_close(&other);

    cr_assert(!place_exists(place));
    expect_eq(m->made, 0);
}

UNIT(unix_socket, an_abstract_name_is_no_file)
{
    char name[PLACE_SIZE + 2];
    char text[WEIR_ADDRESS_TEXT_SIZE];
    struct weir_address address;
    snprintf(name, sizeof(name), "@%s", place->path);

    expect_eq(serve(m, name), 0);

    cr_assert(!place_exists(place));
    expect_geq(weir_server_get_socket(m->server, 0, &address), 0);
    weir_address_format(&address, text, sizeof(text));
    expect_str_eq(text + 5, name);
    int fd = peer_connect_to(&address);
    expect_geq(fd, 0);
    maker_run(m, maker_is_made);
    close(fd);
    weir_server_close(m->server);
    maker_run_for(m, 2 * MS);
    expect_eq(peer_connect_to(&address), -ECONNREFUSED);
}

UNIT(unix_socket, the_kernel_chooses_a_name_where_there_is_none)
{
    struct weir_address address;

    expect_eq(serve(m, ""), 0);

    cr_assert(!place_exists(place));
    expect_geq(weir_server_get_socket(m->server, 0, &address), 0);
    expect_eq(address.storage.local.sun_path[0], '\0');
    expect_gt(address.len, sizeof(sa_family_t) + 1);
    int fd = peer_connect_to(&address);
    expect_geq(fd, 0);
    maker_run(m, maker_is_made);
    close(fd);
}

UNIT(unix_socket, a_path_may_be_relative_and_as_long_as_the_address)
{
    char path[200];
    expect_eq(chdir(place->dir), 0);
    memset(path, 'p', sizeof(path));
    path[107] = '\0';

    expect_eq(serve(m, path), 0);
    cr_assert_eq(access(path, F_OK), 0);
    weir_server_close(m->server);
    cr_assert_neq(access(path, F_OK), 0);
    weir_server_free(m->server);
    m->server = NULL;

    path[107] = 'p';
    path[108] = '\0';
    expect_eq(serve(m, path), -ENAMETOOLONG);
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, path, NULL,
                                          maker_connect_done, m, NULL),
              -ENAMETOOLONG);
    expect_eq(chdir("/"), 0);
}

UNIT(unix_socket, a_directory_that_is_not_there_is_an_error)
{
    char path[PLACE_SIZE + 8];
    snprintf(path, sizeof(path), "%s/none", place->path);
    expect_eq(serve(m, path), -ENOENT);
}

/* ---- what is in the way ---- */

UNIT(unix_socket, the_file_of_a_server_that_died_is_replaced)
{
    place_litter(place);
    expect_eq(place_connect(place), -ECONNREFUSED);

    expect_eq(serve(m, place->path), 0);

    expect_served(m, place);
}

UNIT(unix_socket, a_file_left_by_a_socket_of_another_type_is_replaced)
{
    close(place_bind(place, SOCK_DGRAM, -1));
    expect_eq(serve(m, place->path), 0);
    expect_served(m, place);
}

UNIT(unix_socket,
     the_path_of_a_server_that_lives_is_in_use_and_it_notices_nothing)
{
    int fd = place_bind(place, SOCK_STREAM | SOCK_NONBLOCK, 4);

    expect_in_use(m, place);

    expect_eq(accept(fd, NULL, NULL), -1);
    expect_eq(errno, EAGAIN, "it was not connected to");
    int client = place_connect(place);
    expect_geq(client, 0);
    close(client);
    close(fd);
    unlink(place->path);
}

/* As that of a process that was killed, whose ring has not ended yet. */
UNIT(unix_socket, a_path_that_becomes_stale_meanwhile_is_taken)
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
    expect_served(m, place);
}

UNIT(unix_socket, a_socket_that_does_not_listen_yet_is_in_use)
{
    int fd = place_bind(place, SOCK_STREAM, -1);
    expect_in_use(m, place);
    close(fd);
    unlink(place->path);
}

UNIT(unix_socket, a_server_whose_queue_is_full_is_in_use)
{
    int fd = place_bind(place, SOCK_STREAM, 0);
    int client = place_connect(place);
    expect_in_use(m, place);
    close(client);
    close(fd);
    unlink(place->path);
}

UNIT(unix_socket, sockets_of_other_types_that_live_are_in_use)
{
    const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 2; i++) {
        int fd = place_bind(place, types[i], -1);
        expect_in_use(m, place);
        close(fd);
        unlink(place->path);
    }
}

UNIT(unix_socket, what_is_no_socket_is_in_use_and_stays)
{
    char target[PLACE_SIZE + 8];
    close(open(place->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    expect_in_use(m, place);
    unlink(place->path);
    cr_assert_eq(mkdir(place->path, 0700), 0);
    expect_in_use(m, place);
    cr_assert_eq(rmdir(place->path), 0);

    place_litter(place);
    snprintf(target, sizeof(target), "%s-stale", place->path);
    cr_assert_eq(rename(place->path, target), 0);
    cr_assert_eq(symlink(target, place->path), 0);
    expect_in_use(m, place);
    cr_assert_eq(access(target, F_OK), 0, "nor where a link leads");
    unlink(target);
    expect_in_use(m, place);
    unlink(place->path);
}

UNIT(unix_socket, a_path_that_becomes_free_meanwhile_is_taken)
{
    int fd = place_bind(place, SOCK_STREAM, 4);
    expect_ok(weir_create_unix_server(m->loop, &m->factory, place->path, NULL,
                                      maker_server_done, m, &m->server));
    maker_run_until_timer(m);
    expect_eq(m->done, 0);

    close(fd); /* its file stays */
    maker_expect_done(m, 0);
    expect_served(m, place);
}

/* Opens descriptors until there are @left more. */
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

UNIT(unix_socket, a_want_of_descriptors_is_not_taken_for_a_path_in_use)
{
    const struct rlimit few = {256, 256};
    int fds[256];
    place_litter(place);
    expect_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    /* One for the server's socket, and one to lock the directory. */
    int count = take_fds(fds, 256, 2);
    const int err = serve(m, place->path);
    while (count > 0) {
        close(fds[--count]);
    }
    expect_eq(err, -EMFILE);
    weir_server_free(m->server);
    m->server = NULL;
    expect_eq(serve(m, place->path), 0);
}

UNIT(unix_socket, a_stale_file_is_left_alone_while_another_one_is_at_it)
{
    place_litter(place);
    int lock = open(place->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(flock(lock, LOCK_EX), 0);
    expect_in_use(m, place);
    m->done = 0;
    expect_ok(weir_create_unix_server(m->loop, &m->factory, place->path, NULL,
                                      maker_server_done, m, &m->server));
    maker_run_until_timer(m);
    expect_eq(m->done, 0);

    close(lock);
    maker_expect_done(m, 0);
    expect_served(m, place);
}

/* A process that starts a server when the pipe ends: it exits with 0 when the
 * server listens, after it has been told to stop by the other pipe. */
static pid_t start_rival(const struct place *place, const int go[2],
                         const int told[2], const int stop[2])
{
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    struct maker m;
    char byte;
    close(go[1]);
    close(stop[1]);
    maker_open(&m);
    if (read(go[0], &byte, 1) > 0) {
        _exit(2);
    }
    int err = serve(&m, place->path);
    byte = err == 0 ? 'y' : 'n';
    if (write(told[1], &byte, 1) != 1 || read(stop[0], &byte, 1) != 0) {
        _exit(2);
    }
    maker_close(&m);
    _exit(err == 0 ? 0 : err == -EADDRINUSE ? 1 : 2);
}

/* Lets rivals start on a stale path at the same moment: how many listen. */
static int count_winners(const struct place *place)
{
    int go[2];
    int told[2];
    int stop[2];
    int winners = 0;
    char byte;
    pid_t pids[RIVALS];
    cr_assert_eq(pipe(go) | pipe(told) | pipe(stop), 0);
    for (int i = 0; i < RIVALS; i++) {
        pids[i] = start_rival(place, go, told, stop);
    }
    close_ends(go);
    for (int i = 0; i < RIVALS; i++) {
        cr_assert_eq(read(told[0], &byte, 1), 1);
        winners += byte == 'y';
    }
    int fd = place_connect(place);
    expect_geq(fd, 0, "the winner is reached");
    close(fd);
    close_ends(stop);
    for (int i = 0; i < RIVALS; i++) {
        int status;
        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    }
    close_ends(told);
    return winners;
}

UNIT(unix_socket, of_several_that_start_at_once_on_a_stale_path_one_listens)
{
    for (int i = 0; i < ROUNDS; i++) {
        place_litter(place);
        expect_eq(count_winners(place), 1);
        cr_assert(!place_exists(place));
    }
    expect_eq(m->made, 0);
}

/* ---- what is left behind ---- */

UNIT(unix_socket, a_file_that_took_the_place_of_ours_is_not_removed)
{
    expect_eq(serve(m, place->path), 0);
    cr_assert_eq(unlink(place->path), 0);
    int fd = place_bind(place, SOCK_STREAM, 4);

    weir_server_close(m->server);

    cr_assert(place_exists(place));
    close(fd);
    unlink(place->path);
}

UNIT(unix_socket, a_file_that_has_gone_is_no_error)
{
    expect_eq(serve(m, place->path), 0);
    cr_assert_eq(unlink(place->path), 0);
    weir_server_close(m->server);
    expect_eq(m->reports, 0);
}

UNIT(unix_socket, no_cleanup_socket_leaves_the_file)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.no_cleanup_socket = true;
    expect_eq(serve_with(m, place->path, &options), 0);

    weir_server_close(m->server);

    cr_assert(place_exists(place));
    unlink(place->path);
}

UNIT(unix_socket, the_file_of_a_socket_that_was_handed_in_is_removed_too)
{
    struct weir_server_options options = {.size = sizeof(options)};
    expect_eq(adopt_with(m, place_bind(place, SOCK_STREAM, -1), &options), 0);
    expect_served(m, place);

    weir_server_close(m->server);

    cr_assert(!place_exists(place));
    weir_server_free(m->server);
    options.no_cleanup_socket = true;
    expect_eq(adopt_with(m, place_bind(place, SOCK_STREAM, 4), &options), 0);
    weir_server_close(m->server);
    cr_assert(place_exists(place));
    unlink(place->path);
}

UNIT(unix_socket, a_start_that_fails_later_leaves_no_file)
{
    struct weir_address all[2] = {place_address(place)};
    int taken = peer_listen(1, &all[1]);
    m->done = 0;
    expect_ok(weir_create_server_on(m->loop, &m->factory, all, 2, NULL,
                                    maker_server_done, m, &m->server));

    maker_expect_done(m, -EADDRINUSE);
    cr_assert(!place_exists(place));
    close(taken);
}

static unsigned int mode_of(const struct place *place)
{
    struct stat file;
    cr_assert_eq(lstat(place->path, &file), 0);
    return file.st_mode & 07777;
}

UNIT(unix_socket, the_file_has_the_permissions_that_were_asked_for)
{
    const mode_t umasks[] = {0, 022, 0777};
    const unsigned int modes[] = {0600, 0666, 0770, 0777, 0022};
    struct weir_server_options options = {.size = sizeof(options)};
    for (size_t i = 0; i < sizeof(umasks) / sizeof(umasks[0]); i++) {
        umask(umasks[i]);
        for (size_t at = 0; at < sizeof(modes) / sizeof(modes[0]); at++) {
            options.socket_mode = modes[at];
            expect_eq(serve_with(m, place->path, &options), 0);
            expect_eq(mode_of(place), modes[at], "umask %o", umasks[i]);
            weir_server_free(m->server);
        }
        options.socket_mode = 0;
        expect_eq(serve_with(m, place->path, &options), 0);
        expect_eq(mode_of(place), 0777u & ~umasks[i], "as the umask has it");
        weir_server_free(m->server);
    }
    m->server = NULL;
    options.socket_mode = 010000;
    expect_eq(serve_with(m, place->path, &options), -EINVAL);
}

/* ---- arguments ---- */

UNIT(unix_socket, usage_errors_come_from_the_call)
{
    struct weir_connect_options connect = {.size = sizeof(connect)};
    struct weir_server_options server = {.size = sizeof(server)};
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, NULL, &connect,
                                          maker_connect_done, m, NULL),
              -EINVAL);
    expect_eq(serve_with(m, NULL, &server), -EINVAL);
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, "", &connect,
                                          maker_connect_done, m, NULL),
              -EINVAL, "no name to connect to");
    connect.family = AF_INET;
    server.family = AF_INET6;
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, place->path,
                                          &connect, maker_connect_done, m,
                                          NULL),
              -EINVAL);
    expect_eq(serve_with(m, place->path, &server), -EINVAL);
    connect.family = AF_UNIX;
    connect.local_port = 1;
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, place->path,
                                          &connect, maker_connect_done, m,
                                          NULL),
              -EINVAL);
    server.family = AF_UNIX;
    expect_eq(adopt_with(m, tcp, &server), -EINVAL, "a TCP socket");
    cr_assert(!is_open(tcp));
    connect.size = 0;
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, place->path,
                                          &connect, maker_connect_done, m,
                                          NULL),
              WEIR_EOPTIONSIZE);
    server.size = 0;
    expect_eq(serve_with(m, place->path, &server), WEIR_EOPTIONSIZE);
    expect_eq(m->done, 0);
}

UNIT(unix_socket, works_without_options)
{
    expect_ok(weir_create_unix_server(m->loop, &m->factory, place->path, NULL,
                                      NULL, NULL, &m->server));
    expect_ok(weir_create_unix_connection(m->loop, &m->factory, place->path,
                                          NULL, NULL, NULL, NULL));
    maker_run_for(m, 10 * MS);
    expect_eq(m->made, 2);
}
