/*
 * Sends that must wait because their peers do not read.
 *
 * A send that waits in the kernel is woken by urgent data of its TCP peer,
 * again and again, until the kernel gives it to a worker thread, where it
 * sleeps; there are few workers. So weir's sends never wait in the kernel: a
 * poll waits for space. Peers that do not read, however many, may not delay the
 * bytes of another one.
 */
#include "tests/contract/maker.h"

enum {
    SILENT_PEERS = 6,       /* more than the kernel has workers for a ring */
    KERNEL_BYTES = 1 << 16, /* space in the sockets on both sides */
    WRITTEN = 3 << 20,
    RESTS = 60000 /* milliseconds until a test gives up */
};

static uint8_t *written;

static uint8_t byte_at(uint64_t position)
{
    return (uint8_t)(position * 7u + position / 251u);
}

static void write_all(struct maker *m)
{
    const int room = KERNEL_BYTES;
    const int fd = weir_transport_get_socket(m->t);
    expect_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    expect_eq(weir_transport_write(m->t, written, WRITTEN), 0);
}

static void write_all_and_pause(struct maker *m)
{
    write_all(m);
    weir_transport_pause_reading(m->t);
}

static int count_workers(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    cr_assert_not_null(tasks);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300];
        char name[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
        FILE *comm = fopen(path, "r");
        if (comm) {
            count += fgets(name, sizeof(name), comm) &&
                     strncmp(name, "iou-wrk", 7) == 0;
            fclose(comm);
        }
    }
    closedir(tasks);
    return count;
}

static int open_full_peer(struct maker *m)
{
    const struct weir_address address =
        peer_address("127.0.0.1", server_port(m->server));
    const int room = KERNEL_BYTES;
    const int made = m->made;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    expect_geq(fd, 0);
    expect_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
    peer_set_timeout(fd);
    expect_eq(connect(fd, &address.storage.any, address.len), 0);
    for (int i = 0; m->made == made; i++) {
        expect_lt(i, RESTS);
        maker_run_for(m, MS);
    }
    maker_run_for(m, 5 * MS);
    return fd;
}

static void urge(struct maker *m, int fd)
{
    expect_eq(send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    maker_run_for(m, 5 * MS);
}

static void read_all(struct maker *m, int fd, size_t step)
{
    uint8_t bytes[1 << 16];
    uint64_t got = 0;
    for (int i = 0; got < WRITTEN; i++) {
        const ssize_t len = recv(fd, bytes, step, MSG_DONTWAIT);
        if (len < 0) {
            expect_eq(errno, EAGAIN, "%s", strerror(errno));
            expect_lt(i, RESTS, "%llu of %d bytes came",
                      (unsigned long long)got, WRITTEN);
            maker_run_for(m, MS);
        }
        for (ssize_t j = 0; j < len; j++) {
            expect_eq(bytes[j], byte_at(got + (uint64_t)j));
        }
        got += len > 0 ? (uint64_t)len : 0;
    }
}

static void open_world(struct maker *m, void (*in_made)(struct maker *m))
{
    written = test_pages(WRITTEN);
    for (size_t i = 0; i < WRITTEN; i++) {
        written[i] = byte_at(i);
    }
    maker_open(m);
    m->in_made = in_made;
    maker_serve(m, "127.0.0.1", NULL);
}

static void check_silent_peers(void (*in_made)(struct maker *m))
{
    struct maker m;
    int silent[SILENT_PEERS];
    open_world(&m, in_made);
    for (int i = 0; i < SILENT_PEERS; i++) {
        silent[i] = open_full_peer(&m);
        urge(&m, silent[i]);
    }
    const int honest = open_full_peer(&m);
    urge(&m, honest);
    const int workers = count_workers();

    read_all(&m, honest, KERNEL_BYTES);

    expect_eq(workers, 0, "%d workers hold sends", workers);
    for (int i = 0; i < SILENT_PEERS; i++) {
        read_all(&m, silent[i], KERNEL_BYTES);
        close(silent[i]);
    }
    close(honest);
    maker_close(&m);
}

UNIT(send_waits, peers_that_do_not_read_do_not_hold_up_the_bytes_of_others)
{
    check_silent_peers(write_all);
}

UNIT(send_waits, peers_that_are_not_read_from_either_do_not_hold_up_others)
{
    check_silent_peers(write_all_and_pause);
}

static void check_half_closed(void (*in_made)(struct maker *m))
{
    struct maker m;
    open_world(&m, in_made);
    const int fd = open_full_peer(&m);
    shutdown(fd, SHUT_WR);
    maker_run_for(&m, 50 * MS);

    const struct weir_loop_statistics before = statistics_of(m.loop);
    maker_run_for(&m, 100 * MS);
    const struct weir_loop_statistics after = statistics_of(m.loop);

    expect_lt(after.completions - before.completions, 20,
              "waiting for room is no work");
    read_all(&m, fd, 1000);
    close(fd);
    maker_close(&m);
}

UNIT(send_waits, after_the_peers_end_of_stream_a_send_waits_without_work)
{
    check_half_closed(write_all_and_pause);
}

UNIT(send_waits, after_an_end_of_stream_that_was_read_a_send_waits_without_work)
{
    check_half_closed(write_all);
}

UNIT(send_waits, abort_meanwhile_resets_the_connection)
{
    struct maker m;
    uint8_t bytes[1 << 16];
    ssize_t len;
    open_world(&m, write_all);
    const int fd = open_full_peer(&m);

    weir_transport_abort(m.t);
    maker_run(&m, maker_is_empty);

    while ((len = peer_read(fd, bytes, sizeof(bytes))) > 0) {
    }
    expect_eq(len, -ECONNRESET, "the peer was told %zd", len);
    close(fd);
    maker_close(&m);
}
