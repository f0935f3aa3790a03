/*
 * A large file in the cache, sent to peers that read in their own pace: what is
 * asked about the cache.
 *
 * Each answer costs by the page, so that a peer that takes little at a time
 * must not make the loop look up much.
 */
#include "adopt.h"
#include "clock.h"
#include "uring/sys.h"

#define MS         UINT64_C(1000000)
#define FILE_BYTES (4u << 20)

struct sending {
    weir_loop *loop;
    struct fake_peer *peer;
    int file;
    int err;
    bool is_told;
};

static void fill(void *arg, void *buf, uint64_t offset, size_t len)
{
    memset(buf, 'f', len);
}

static void told(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct sending *sending = arg;
    expect_eq(sent, FILE_BYTES);
    sending->err = err;
    sending->is_told = true;
}

static void made(void *user, weir_transport *t)
{
    struct sending *sending = user;
    expect_ok(weir_transport_sendfile(t, sending->file, 0, WEIR_TO_END, told,
                                      sending));
}

static const struct weir_protocol protocol = {
    .size = sizeof(protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = made,
};

static void start(struct sending *sending)
{
    fake_start(&(struct fake_options){.seed = 1});
    sending->file = fake_disk_open(FILE_BYTES, fill, NULL);
    expect_eq(weir_loop_new(NULL, &sending->loop), 0);
    adopt(sending->loop, &protocol, sending, NULL, &sending->peer);
}

static void stop(struct sending *sending)
{
    expect_eq(sending->is_told, true);
    expect_eq(sending->err, 0);
    expect_eq(weir_loop_free(sending->loop), 1);
    fake_peer_close(sending->peer);
    wr_sys_close(sending->file);
    fake_stop();
}

/* The peer reads @step bytes at a time, until there are no more. */
static void read_all(struct sending *sending, size_t step)
{
    static char buf[1u << 20];
    uint64_t all = 0;

    expect_leq(step, sizeof(buf));
    for (uint32_t i = 0; i < 4 * FILE_BYTES / step && all < FILE_BYTES; i++) {
        clock_run_for(sending->loop, MS);
        const ssize_t got = fake_peer_read(sending->peer, buf, step);
        all += got > 0 ? (uint64_t)got : 0;
    }
    clock_run_for(sending->loop, MS);
    expect_eq(all, FILE_BYTES);
}

UNIT(file_room, a_peer_that_takes_little_makes_the_loop_look_up_little)
{
    struct sending sending = {.file = -1};
    start(&sending);

    read_all(&sending, 40000);

    expect_leq(fake_stats()->looked_up_bytes, 4 * FILE_BYTES);
    stop(&sending);
}
