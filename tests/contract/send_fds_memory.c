/*
 * Descriptors to be sent over a Unix socket when there is no memory for them,
 * or for their bytes: the call is refused as a whole, and neither descriptors
 * nor the connection are harmed.
 */
#include "tests/contract/fds_rig.h"
#include "tests/walk.h"

#include <sys/mman.h>
#include <weir/connect.h>
#include <weir/embed.h>
#include <weir/sendfile.h>

struct scene {
    struct test_allocator allocator;
    weir_loop *loop;
    weir_transport *t;
    int peer;
};

static void note_made(void *user, weir_transport *t)
{
    *(weir_transport **)user = t;
}

static CALLBACKS(protocol, STREAM, .connection_made = note_made);

static void scene_open(struct scene *scene)
{
    int ends[2];
    *scene = (struct scene){.peer = -1};
    allocator_init(&scene->allocator);
    const struct weir_loop_options loop_options = {
        .size = sizeof(loop_options), .allocator = &scene->allocator.hooks};
    const struct weir_factory factory = bind_to(&protocol, &scene->t);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    scene->peer = ends[1];
    expect_eq(weir_loop_new(&loop_options, &scene->loop), 0);
    expect_ok(weir_create_connection_at(scene->loop, &factory,
                                        weir_endpoint_fd(ends[0]), NULL, NULL,
                                        NULL, NULL));
    RUN_UNTIL(scene->loop, scene->t != NULL);
}

static void scene_close(struct scene *scene)
{
    scene->allocator.fail_at = 0;
    expect_eq(weir_loop_free(scene->loop), 1);
    close(scene->peer);
    expect_eq(scene->allocator.live_count, 0);
}

static int send_without(struct scene *scene)
{
    static const uint8_t zeros[300 << 10];
    walk_begin(&scene->allocator);
    const int err = weir_transport_send_fds(scene->t, zeros, sizeof(zeros),
                                            &scene->peer, 1);
    expect_eq(err, walk_end(&scene->allocator) ? -ENOMEM : 0);
    return err;
}

static void send_once(void *arg)
{
    struct scene *scene = arg;
    const int before = fds_count_open();
    if (send_without(scene) < 0) {
        expect_eq(weir_transport_get_write_buffer_size(scene->t), 0);
        expect_eq(weir_loop_run_once(scene->loop), 0);
        expect_eq(fds_count_open(), before);
        if (weir_transport_take_write_error(scene->t) < 0) {
            expect_gt(walk_round, 1, "there were descriptors");
        }
    }
}

UNIT(send_fds_memory, without_it_nothing_is_taken)
{
    struct scene scene;
    scene_open(&scene);
    expect_geq(walk_allocations(&scene.allocator, send_once, &scene), 3);
    scene_close(&scene);
}

struct late_send {
    struct scene scene;
    int file;
    bool is_done;
};

static void send_late(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct late_send *late = arg;
    expect_eq(err, -ECANCELED);
    expect_eq(sent, 0);
    send_without(&late->scene);
    late->is_done = true;
}

static void cancel_once(void *arg)
{
    struct late_send *late = arg;
    weir_transport *t = late->scene.t;
    late->is_done = false;
    expect_ok(
        weir_transport_sendfile(t, late->file, 0, 1 << 20, send_late, late));
    expect_eq(weir_transport_cancel_sendfile(t), 0);
    RUN_UNTIL(late->scene.loop, late->is_done);
    expect_leq(weir_transport_take_write_error(t), 0);
}

UNIT(send_fds_memory, a_refusal_in_the_turn_of_a_cancelled_file_sends_nothing)
{
    struct late_send late = {.file = memfd_create("file", MFD_CLOEXEC)};
    expect_eq(ftruncate(late.file, 1 << 20), 0);
    scene_open(&late.scene);
    expect_geq(walk_allocations(&late.scene.allocator, cancel_once, &late), 3);
    scene_close(&late.scene);
    close(late.file);
}
