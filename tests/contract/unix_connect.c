/*
 * Unix connections on real files: why one cannot be made, a server with a full
 * queue, and the peer's identity.
 *
 * unix.c tests servers.
 */
#define UNIT_RUN   with_place
#define UNIT_TAKES struct maker *m, struct place *place
#include "tests/contract/place.h"
#include "tests/contract/rights.h"

#include <weir/connect.h>

enum { ROUNDS = 20 };

static weir_pending *start(struct maker *m, const char *path,
                           uint64_t timeout_ns)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    weir_pending *connect = NULL;
    options.timeout_ns = timeout_ns;
    m->done = 0;
    expect_ok(weir_create_unix_connection(m->loop, &m->factory, path, &options,
                                          maker_connect_done, m, &connect));
    return connect;
}

UNIT(unix_connect, a_connection_to_a_path_is_made)
{
    char byte;
    const struct weir_address address = place_address(place);
    int listener = place_bind(place, SOCK_STREAM, 4);

    start(m, place->path, 0);
    maker_expect_done(m, 0);
    expect_str_eq(m->log, "FMD");
    cr_assert(weir_address_is_equal(&m->peername, &address));
    cr_assert_not(fcntl(weir_transport_get_socket(m->t), F_GETFL) & O_NONBLOCK);
    int fd = accept(listener, NULL, NULL);
    expect_eq(weir_transport_write(m->t, "x", 1), 0);
    expect_eq(maker_read(m, fd, &byte, 1), 1);
    close(fd);
    close(listener);
    unlink(place->path);
}

UNIT(unix_connect, a_connection_that_cannot_be_made_says_why)
{
    start(m, place->path, 0);
    maker_expect_done(m, -ENOENT);
    place_litter(place);
    start(m, place->path, 0);
    maker_expect_done(m, -ECONNREFUSED);
    unlink(place->path);
    int fd = place_bind(place, SOCK_DGRAM, -1);
    start(m, place->path, 0);
    maker_expect_done(m, -EPROTOTYPE);
    close(fd);
    unlink(place->path);
    close(open(place->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    start(m, place->path, 0);
    maker_run(m, maker_is_done);
    expect_eq(m->done_err, -ECONNREFUSED, "a file that is no socket");
    expect_str_eq(m->log, "DDDD");
    unlink(place->path);
}

struct full {
    int listener;
    int client;
};

static struct full full_open(const struct place *place)
{
    struct full full;
    full.listener = place_bind(place, SOCK_STREAM, 0);
    full.client = place_connect(place);
    expect_geq(full.client, 0);
    return full;
}

static void full_close(const struct full *full, const struct place *place)
{
    close(full->client);
    close(full->listener);
    unlink(place->path);
}

UNIT(unix_connect, a_full_queue_is_waited_for_without_spinning)
{
    const struct full full = full_open(place);
    start(m, place->path, 0);
    expect_lt(maker_count_turns(m, 300 * MS), 40);
    expect_eq(m->done, 0);

    close(accept(full.listener, NULL, NULL));
    maker_expect_done(m, 0);
    int fd = accept(full.listener, NULL, NULL);
    expect_geq(fd, 0);
    close(fd);
    full_close(&full, place);
}

UNIT(unix_connect, the_time_out_ends_a_wait_for_a_full_queue)
{
    const struct full full = full_open(place);
    start(m, place->path, 20 * MS);
    maker_expect_done(m, -ETIMEDOUT);
    expect_str_eq(m->log, "D");
    full_close(&full, place);
}

UNIT(unix_connect, cancel_ends_a_wait_for_a_full_queue)
{
    const struct full full = full_open(place);
    weir_pending *connect = start(m, place->path, 0);
    maker_run_for(m, 5 * MS);
    weir_pending_cancel(connect);
    weir_pending_cancel(connect);
    maker_expect_done(m, -ECANCELED);
    expect_eq(m->done, 1);
    full_close(&full, place);
}

UNIT(unix_connect, cancelling_a_wait_at_any_moment_gives_one_answer)
{
    const struct full full = full_open(place);
    for (int i = 0; i < ROUNDS; i++) {
        weir_pending *connect = start(m, place->path, 0);
        maker_run_for(m, (unsigned int)i * MS / 4);
        expect_eq(m->done, 0);
        weir_pending_cancel(connect);
        maker_expect_done(m, -ECANCELED);
    }
    full_close(&full, place);
}

UNIT(unix_connect, the_end_of_the_loop_ends_a_wait_for_a_full_queue)
{
    struct maker other;
    const struct full full = full_open(place);
    maker_open(&other);
    start(&other, place->path, 0);
    maker_run_for(&other, 5 * MS);
    maker_close(&other);
    expect_eq(other.done, 1);
    expect_eq(other.done_err, -ECANCELED);
    expect_eq(m->done, 0);
    full_close(&full, place);
}

UNIT(unix_connect, a_server_that_goes_ends_a_wait_for_its_queue)
{
    const struct full full = full_open(place);
    start(m, place->path, 0);
    maker_run_for(m, 5 * MS);
    full_close(&full, place);
    maker_run(m, maker_is_done);
    cr_assert(m->done_err == -ECONNREFUSED || m->done_err == -ENOENT);
}

UNIT(unix_connect, a_pair_is_adopted_as_a_unix_socket)
{
    int ends[2];
    char text[256];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(ends[0]), NULL,
                                        maker_connect_done, m, NULL));
    maker_run(m, maker_is_done);
    weir_transport_get_error_text(m->t, text, sizeof(text));
    expect_str_eq(text, "unix unix:: open");
    close(ends[1]);
    cr_assert(!place_exists(place));
}

enum { PASS_RIGHTS = 83 /* SO_PASSRIGHTS, Linux 6.16 */ };

static bool can_refuse_fds(const struct maker *m)
{
    char text[4096];
    weir_loop_get_features_text(m->loop, text, sizeof(text));
    return strstr(text, "passrights       6.16  yes") != NULL;
}

static int passes_fds(int fd)
{
    int on = -1;
    socklen_t len = sizeof(on);
    cr_assert_eq(getsockopt(fd, SOL_SOCKET, PASS_RIGHTS, &on, &len), 0);
    return on;
}

static void serve_shared(struct maker *m, int listener, uint32_t fd_limit)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.connection.fd_limit = fd_limit;
    m->done = 0;
    expect_ok(weir_create_server_at(
        m->loop, &m->factory,
        weir_endpoint_fd(fcntl(listener, F_DUPFD_CLOEXEC, 0)), &options,
        maker_server_done, m, &m->server));
    maker_expect_done(m, 0);
    weir_server_free(m->server);
    m->server = NULL;
    maker_run_for(m, MS);
}

/* The option belongs to the socket, which outlives the program that set it. */
UNIT(unix_connect, a_listener_that_is_handed_on_takes_descriptors_as_asked)
{
    const int listener = place_bind(place, SOCK_STREAM, 1);
    if (can_refuse_fds(m)) {
        serve_shared(m, listener, 0);
        expect_eq(passes_fds(listener), 0);
        serve_shared(m, listener, 16);
        expect_eq(passes_fds(listener), 1);
    }
    close(listener);
    unlink(place->path);
}

UNIT(unix_connect, a_socket_that_is_handed_on_takes_descriptors_as_asked)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (uint32_t fd_limit = 0; can_refuse_fds(m) && fd_limit < 2; fd_limit++) {
        options.connection.fd_limit = fd_limit;
        m->done = 0;
        expect_ok(weir_create_connection_at(
            m->loop, &m->factory,
            weir_endpoint_fd(fcntl(ends[0], F_DUPFD_CLOEXEC, 0)), &options,
            maker_connect_done, m, NULL));
        maker_run(m, maker_is_done);
        expect_eq(passes_fds(ends[0]), (int)fd_limit);
    }
    close_ends(ends);
    cr_assert(!place_exists(place));
}

UNIT(unix_connect, a_connection_that_waits_takes_no_descriptors_unasked)
{
    expect_ok(weir_create_unix_server(m->loop, &m->factory, place->path, NULL,
                                      NULL, NULL, &m->server));
    maker_run_for(m, 2 * MS);
    const int fd =
        place_connect(place); /* no iteration runs until it has sent */
    const ssize_t sent =
        rights_send(fd, "x", 1, (const int[]){STDERR_FILENO}, 1, 0);

    expect_eq(sent, can_refuse_fds(m) ? -1 : 1);
    maker_run(m, maker_is_made);
    close(fd);
    maker_run(m, maker_is_lost);
}

static void expect_own_credentials(const struct weir_peercred *cred)
{
    expect_eq(cred->pid, getpid());
    expect_eq(cred->uid, geteuid());
    expect_eq(cred->gid, getegid());
}

UNIT(unix_connect, the_peers_credentials_are_known_and_kept_after_the_loss)
{
    struct weir_peercred cred;
    struct weir_extra_info info = {.size = sizeof(info)};
    expect_ok(weir_create_unix_server(m->loop, &m->factory, place->path, NULL,
                                      NULL, NULL, &m->server));
    maker_run_for(m, 2 * MS);
    int fd = place_connect(place);
    maker_run(m, maker_is_made);
    weir_transport *t = weir_transport_ref(m->t);

    expect_eq(weir_transport_get_peercred(t, &cred), 0);
    expect_own_credentials(&cred);
    expect_eq(weir_transport_get_extra_info(t, "peercred", &info), 0);
    expect_own_credentials(&info.peercred);
    expect_eq(weir_transport_get_extra_info(t, "peercert", &info), -ENOENT);
    close(fd);
    maker_run(m, maker_is_lost);
    memset(&cred, 0, sizeof(cred));
    expect_eq(weir_transport_get_peercred(t, &cred), 0);
    expect_own_credentials(&cred);
    weir_transport_unref(t);
}

UNIT(unix_connect, a_tcp_connection_has_no_credentials)
{
    struct weir_peercred cred;
    struct weir_extra_info info = {.size = sizeof(info)};
    struct weir_address address;
    int listener = peer_listen(1, &address);
    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_addresses(&address, 1),
                                        NULL, maker_connect_done, m, NULL));
    maker_run(m, maker_is_done);

    expect_eq(weir_transport_get_peercred(m->t, &cred), -EOPNOTSUPP);
    expect_eq(weir_transport_get_extra_info(m->t, "peercred", &info), -ENOENT);
    close(listener);
    cr_assert(!place_exists(place));
}
