/*
 * Which bytes arrive, and which are lost, when one thing ends because of
 * another.
 *
 * These are the lines of tests/RULES.md that no other suite observes from the
 * far end. The far end is a plain blocking socket that reads what has arrived.
 */
#include "tests/contract/maker.h"
#include "tests/task.h"

#include <weir/stream.h>

enum { MUCH = 16 << 20, CLIENTS = 2 };

/* Makes a server that has written more to each client than the kernel accepts,
 * and whose clients have sent bytes that it will not read. */
static void serve_much(struct maker *m, int *ret_fds)
{
    maker_serve(m, "127.0.0.1", NULL);
    for (int i = 0; i < CLIENTS; i++) {
        ret_fds[i] = peer_connect(m);
        maker_run_until_made(m, i + 1);
        expect_eq(weir_transport_pause_reading(m->t), 0);
        expect_eq(weir_transport_write(m->t, test_pages(MUCH), MUCH), 0);
        expect_eq(send(ret_fds[i], "unread", 6, 0), 6);
    }
    maker_run_for(m, 20 * MS);
    expect_gt(weir_transport_get_write_buffer_size(m->t), 0);
}

static size_t read_all(struct maker *m, int fd, int *ret)
{
    static char chunk[1 << 16];
    size_t total = 0;
    ssize_t len;

    while ((len = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) != 0) {
        if (len > 0) {
            total += (size_t)len;
        } else if (errno == EAGAIN) {
            maker_run_for(m, MS);
        } else {
            *ret = -errno;
            return total;
        }
    }
    *ret = 0;
    return total;
}

static void expect_reset(struct maker *m, const int *fds)
{
    maker_run(m, maker_is_empty);
    for (int i = 0; i < CLIENTS; i++) {
        int end;
        expect_lt(read_all(m, fds[i], &end), MUCH);
        expect_eq(end, -ECONNRESET);
        close(fds[i]);
    }
    expect_eq(m->received, 0);
}

MAKER(arrivals, a_server_that_closes_its_clients_sends_what_was_written, m)
{
    int fds[CLIENTS];
    serve_much(m, fds);

    weir_server_close_clients(m->server);

    for (int i = 0; i < CLIENTS; i++) {
        int end;
        expect_eq(read_all(m, fds[i], &end), MUCH);
        expect_eq(end, 0);
    }
    maker_run(m, maker_is_empty);
    expect_eq(m->lost, CLIENTS);
    expect_eq(m->lost_err, 0);
    expect_eq(m->received, 0);
    close(fds[0]);
    close(fds[1]);
}

MAKER(arrivals, a_server_that_aborts_its_clients_drops_what_waits, m)
{
    int fds[CLIENTS];
    serve_much(m, fds);

    weir_server_abort_clients(m->server);

    expect_reset(m, fds);
}

MAKER(arrivals, the_end_of_a_servers_grace_drops_what_waits, m)
{
    int fds[CLIENTS];
    serve_much(m, fds);

    expect_eq(weir_server_stop(m->server, MS, maker_server_closed, m), 0);

    maker_run(m, maker_is_closed);
    expect_reset(m, fds);
}

struct talk {
    weir_reader *reader;
    weir_writer *writer;
    int err;
};

static int wait_for_bytes(weir_loop *on, void *arg)
{
    struct talk *talk = arg;
    char byte;
    talk->err = (int)weir_reader_read(talk->reader, &byte, 1);
    return talk->err;
}

static int fail(weir_loop *on, void *arg)
{
    expect_eq(weir_yield(on), 0);
    return -EPROTO;
}

UNIT_IN(arrivals, a_failed_task_leaves_the_connection_of_its_sibling, task_run,
        weir_loop *loop)
{
    struct weir_address address;
    const int listener = peer_listen(1, &address);
    struct weir_task_group group;
    struct talk talk = {.err = 1};
    char text[12] = "";
    expect_ok(weir_open_connection(loop, "127.0.0.1", address_port(&address),
                                   NULL, &talk.reader, &talk.writer));
    const int fd = accept(listener, NULL, NULL);
    expect_eq(weir_writer_write(talk.writer, "before", 6), 0);
    expect_ok(weir_task_group_begin(loop, &group));
    expect_ok(weir_task_group_spawn(&group, wait_for_bytes, &talk, NULL, NULL));
    expect_ok(weir_task_group_spawn(&group, fail, NULL, NULL, NULL));

    expect_eq(weir_task_group_end(&group, 0), -EPROTO);

    expect_eq(talk.err, -ECANCELED);
    expect_eq(send(fd, "later", 5, 0), 5);
    expect_eq(weir_reader_readexactly(talk.reader, text, 5), 5);
    expect_str_eq(text, "later");
    expect_eq(weir_writer_write(talk.writer, "after", 5), 0);
    weir_writer_close(talk.writer);
    expect_ok(weir_writer_wait_closed(talk.writer));
    expect_eq(recv(fd, text, 11, MSG_WAITALL), 11);
    expect_eq(memcmp(text, "beforeafter", 11), 0);
    weir_writer_unref(talk.writer);
    close(fd);
    close(listener);
}
