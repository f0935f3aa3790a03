/*
 * Descriptors that are to be sent over a Unix socket while there is no memory
 * for them, or for the bytes that they go with: the call is refused whole, and
 * neither a descriptor nor the connection is harmed.
 */
#include "tests/contract/fds_rig.h"

#include "tests/unit/allocator.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <weir/embed.h>
#include <weir/sendfile.h>

/* A connection whose loop's allocations fail when the test says so. */
struct scene {
    struct unit_allocator allocator;
    weir_loop *loop;
    weir_transport *t;
    int peer;
};

static void note_made(void *user, weir_transport *t)
{
    *(weir_transport **)user = t;
}

static int make_noter(void *arg, weir_transport *t,
                      struct weir_protocol_binding *ret)
{
    static const struct weir_protocol protocol = {.size = sizeof(protocol),
                                                  .kind = WEIR_PROTOCOL_STREAM,
                                                  .connection_made = note_made};
    (void)t;
    *ret = (struct weir_protocol_binding){.protocol = &protocol, .user = arg};
    return 0;
}

static bool scene_is_open(void *arg)
{
    const struct scene *scene = arg;
    return scene->t != NULL;
}

static void scene_open(struct scene *scene)
{
    int ends[2];
    *scene = (struct scene){.peer = -1};
    unit_allocator_init(&scene->allocator);
    const struct weir_loop_options loop_options = {
        .size = sizeof(loop_options), .allocator = &scene->allocator.hooks};
    const struct weir_factory factory = {.create = make_noter,
                                         .arg = &scene->t};
    struct weir_connect_options options = {.size = sizeof(options),
                                           .use_sock = true};
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    options.sock = ends[0];
    scene->peer = ends[1];
    expect_eq(weir_loop_new(&loop_options, &scene->loop), 0);
    expect_eq(weir_create_unix_connection(scene->loop, &factory, NULL, &options,
                                          NULL),
              0);
    run_loop_until(scene->loop, scene_is_open, scene);
}

static void scene_close(struct scene *scene)
{
    scene->allocator.fail_at = 0;
    expect_eq(weir_loop_free(scene->loop), 1);
    close(scene->peer);
    expect_eq(scene->allocator.live_count, 0);
}

/* Sends the peer's descriptor along with @len bytes; of the allocations that
 * this makes the one after @allowed fails. */
static int send_without(struct scene *scene, size_t len, int allowed)
{
    static const uint8_t zeros[300 << 10];
    cr_assert_leq(len, sizeof(zeros));
    scene->allocator.fail_at = scene->allocator.calls + 1 + (uint64_t)allowed;
    const int err =
        weir_transport_send_fds(scene->t, zeros, len, &scene->peer, 1);
    scene->allocator.fail_at = 0;
    return err;
}

UNIT(send_fds_memory, without_it_nothing_is_taken)
{
    struct scene scene;
    scene_open(&scene);
    int refused = 0;
    int err;

    do {
        const int before = fds_count_open();
        err = send_without(&scene, 300 << 10, refused);
        if (err < 0) {
            expect_eq(err, -ENOMEM);
            expect_eq(weir_transport_get_write_buffer_size(scene.t), 0);
            expect_eq(weir_loop_run_once(scene.loop), 0);
            expect_eq(fds_count_open(), before);
            if (weir_transport_take_write_error(scene.t) < 0) {
                expect_gt(refused, 0, "there were descriptors");
            }
            refused++;
        }
    } while (err < 0 && refused < 20);

    expect_gt(refused, 2);
    scene_close(&scene);
}

/* A send from inside the callback that tells of a file's end. */
struct late_send {
    struct scene *scene;
    int allowed;
    int result;
    bool is_done;
};

static void send_late(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct late_send *late = arg;
    (void)t;
    expect_eq(err, -ECANCELED);
    expect_eq(sent, 0);
    late->result = send_without(late->scene, 300 << 10, late->allowed);
    late->is_done = true;
}

static bool late_is_done(void *arg)
{
    const struct late_send *late = arg;
    return late->is_done;
}

UNIT(send_fds_memory, a_refusal_in_the_turn_of_a_cancelled_file_sends_nothing)
{
    struct scene scene;
    const int file = memfd_create("file", MFD_CLOEXEC);
    expect_eq(ftruncate(file, 1 << 20), 0);
    scene_open(&scene);
    struct late_send late = {.scene = &scene};

    do {
        late.is_done = false;
        expect_eq(weir_transport_sendfile(scene.t, file, 0, 1 << 20, send_late,
                                          &late),
                  0);
        expect_eq(weir_transport_cancel_sendfile(scene.t), 0);
        run_loop_until(scene.loop, late_is_done, &late);
        expect_leq(weir_transport_take_write_error(scene.t), 0);
        late.allowed++;
    } while (late.result < 0 && late.allowed < 20);

    expect_eq(late.result, 0);
    expect_gt(late.allowed, 3);
    scene_close(&scene);
    close(file);
}
