/*
 * A large file in the cache, sent to peers that read in their own pace: what is
 * asked about the cache.
 *
 * Each answer costs by the page, so that a peer that takes little at a time
 * must not make the loop look up much.
 */
#include "subject.h"
#include "tests/bind.h"
#include "uring/sys.h"

#include <weir/sendfile.h>

#define FILE_BYTES (4u << 20)

static int file;

static void made(void *user, weir_transport *t)
{
    expect_ok(
        weir_transport_sendfile(t, file, 0, WEIR_TO_END, note_told, NULL));
}

static CALLBACKS(protocol, STREAM, .connection_made = made);

/* The peer reads @step bytes at a time, until there are no more. */
static void read_all(size_t step)
{
    static char buf[1u << 20];
    uint64_t all = 0;

    expect_leq(step, sizeof(buf));
    for (uint32_t i = 0; i < 4 * FILE_BYTES / step && all < FILE_BYTES; i++) {
        clock_run_for(loop, MS);
        const ssize_t got = fake_peer_read(peer, buf, step);
        all += got > 0 ? (uint64_t)got : 0;
    }
    clock_run_for(loop, MS);
    expect_eq(all, FILE_BYTES);
}

UNIT(file_room, a_peer_that_takes_little_makes_the_loop_look_up_little)
{
    subject_open(&(struct fake_options){.seed = 1}, NULL, &protocol, NULL);
    file = fake_disk_open(FILE_BYTES, fill_file, NULL);

    read_all(40000);

    expect_leq(fake_stats()->looked_up_bytes, 4 * FILE_BYTES);
    expect_told(0, FILE_BYTES);
    wr_sys_close(file);
    subject_stop(1);
}
