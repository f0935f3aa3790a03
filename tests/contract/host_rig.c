/*
 * weir embedded in another event loop; see host_rig.h.
 *
 * The client is non-blocking and counts the bytes that it reads, so that a byte
 * that was echoed twice is noticed.
 */
#include "tests/contract/host_rig.h"

#include <fcntl.h>
#include <limits.h>
#include <weir/embed.h>
#include <weir/stream.h>
#include <weir/task.h>

static int echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    char bytes[64];
    ssize_t len;

    while ((len = weir_reader_read(reader, bytes, sizeof(bytes))) > 0) {
        int err = weir_writer_write(writer, bytes, (size_t)len);
        if (err == 0) {
            err = weir_writer_drain(writer);
        }
        if (err < 0) {
            return err;
        }
    }
    return (int)len;
}

static int serve(weir_loop *on, void *arg)
{
    struct guest *guest = (struct guest *)arg;
    return weir_start_server(on, echo, "127.0.0.1", 0, NULL, &guest->server);
}

void guest_open(struct guest *guest)
{
    struct weir_address address;

    int served;

    open_loop(NULL);
    expect_geq(weir_loop_get_fd(loop), 0); /* before its first run */
    expect_eq(weir_loop_run_task(loop, serve, guest, &served), 0);
    expect_eq(served, 0);
    expect_geq(weir_server_get_socket(guest->server, 0, &address), 0);
    guest->address = address.storage.inet;
    guest->client = socket(AF_INET, SOCK_STREAM, 0);
    expect_ok(connect(guest->client, (struct sockaddr *)&guest->address,
                      sizeof(guest->address)));
    expect_eq(fcntl(guest->client, F_SETFL, O_NONBLOCK), 0);
}

void guest_close(struct guest *guest)
{
    close(guest->client);
    weir_server_free(guest->server);
    expect_leq(weir_loop_free(loop), 2);
    loop = NULL;
}

static uint64_t work_done(void)
{
    const struct weir_loop_statistics now = statistics();
    return now.completions + now.task_switches;
}

void guest_turn(struct guest *guest)
{
    const uint64_t before = work_done();

    guest->result = weir_loop_run_once(loop);
    guest->turns++;
    guest->idle += work_done() == before;
}

int guest_wait_ms(void)
{
    const uint64_t deadline_ns = weir_loop_get_deadline(loop);
    const uint64_t now_ns = weir_loop_get_time(loop);

    if (deadline_ns == UINT64_MAX) {
        return -1;
    }
    const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    const uint64_t left_ms = left_ns / MS + (left_ns % MS > 0);
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

void guest_send(struct guest *guest)
{
    expect_eq(send(guest->client, "x", 1, MSG_NOSIGNAL), 1);
    guest->sent++;
}

void guest_read(struct guest *guest)
{
    char bytes[64];
    const ssize_t len = recv(guest->client, bytes, sizeof(bytes), 0);

    expect_gt(len, 0);
    guest->echoed += (int)len;
    if (guest->sent < guest->wanted) {
        guest_send(guest);
    }
}
