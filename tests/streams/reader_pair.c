/*
 * A stream with limits, and a task that plays its sending peer; see
 * reader_pair.h.
 *
 * The sender sleeps while the pipe is full,
 * and goes on by turns while it is not.
 */
#include "tests/streams/reader_pair.h"

#include <weir/stream.h>

struct pair p;

void open_limited(struct pair *pair, uint64_t limit, uint64_t budget)
{
    const struct weir_open_options options = {.size = sizeof(options),
                                              .limit_bytes = limit};
    memset(pair, 0, sizeof(*pair));
    pair->fd = fake_connected_fd(&pair->peer);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_fd(pair->fd),
                                      &options, &pair->reader, &pair->writer));
    pair->t = weir_writer_get_transport(pair->writer);
    cr_assert_eq(weir_transport_set_read_buffer_limit(pair->t, budget), 0);
}

void close_after(void (*body)(void))
{
    body();
    pair_close(&p);
}

int send_all(weir_loop *on, void *arg)
{
    static uint8_t bytes[64 * KIB];
    struct sender *sender = (struct sender *)arg;
    while (sender->sent < sender->total) {
        size_t len = sender->piece;
        if (len > sender->total - sender->sent) {
            len = sender->total - sender->sent;
        }
        for (size_t i = 0; i < len; i++) {
            bytes[i] = pair_byte(sender->sent + i);
        }
        const ssize_t done = fake_peer_write(sender->pair->peer, bytes, len);
        sender->sent += done > 0 ? (size_t)done : 0;
        int err = done > 0 ? weir_yield(on) : weir_sleep(on, MS);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

weir_task *start_sender(struct sender *sender, struct pair *pair, size_t total,
                        size_t piece)
{
    *sender = (struct sender){.pair = pair, .total = total, .piece = piece};
    return rig_spawn(send_all, sender);
}

void check_pattern(const uint8_t *data, size_t len, uint64_t from)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != pair_byte(from + i)) {
            cr_assert_fail("byte %llu is wrong",
                           (unsigned long long)(from + i));
        }
    }
}

void peer_writes(struct pair *pair, size_t len)
{
    static const uint8_t zeroes[64 * KIB];
    cr_assert_eq(fake_peer_write(pair->peer, zeroes, len), (ssize_t)len);
    nap();
}
