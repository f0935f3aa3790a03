/*
 * Options of all calls that have some: nothing beyond their size may be read.
 *
 * The last byte of the struct is the last of a page that no page follows.
 * Smaller sizes are those of older headers, from the size field alone on;
 * larger ones are those of a newer header.
 */
#include "handler.h"

#include <sys/mman.h>
#include <weir/connect.h>
#include <weir/executor.h>

#define PAGE     4096u
#define HOST     "192.0.2.7"
#define PORT     80
#define TAIL_MAX 64u

static struct fake_listener *listener;
static struct pair a_pair;

static int call_loop_new(const void *options)
{
    weir_loop *other;
    int err = weir_loop_new(options, &other);
    if (err == 0) {
        expect_geq(weir_loop_free(other), 0);
    }
    return err;
}

static int do_nothing(weir_loop *on, void *arg)
{
    return 0;
}

static int call_task_spawn(const void *options)
{
    weir_task *task;
    int err = weir_task_spawn(loop, do_nothing, NULL, options, &task);
    if (err == 0) {
        expect_eq(weir_task_join(task, NULL), 0);
    }
    return err;
}

static int call_set_executor(const void *options)
{
    return weir_loop_set_executor(loop, options);
}

static int call_set_timeouts(const void *options)
{
    return weir_transport_set_timeouts(a_pair.t, options);
}

static int call_protocol_new(const void *options)
{
    struct weir_protocol_binding binding;
    weir_writer *writer;
    int err = weir_stream_protocol_new(loop, options, &binding, &writer);
    if (err == 0) {
        weir_writer_unref(writer);
    }
    return err;
}

static int call_open_connection(const void *options)
{
    weir_writer *writer;
    int err = weir_open_connection(loop, HOST, PORT, options, NULL, &writer);
    if (err == 0) {
        weir_writer_abort(writer);
        weir_writer_unref(writer);
        nap();
        fake_peer_close(fake_listener_accept(listener));
    }
    return err;
}

static int handle(void *arg, weir_reader *reader, weir_writer *writer)
{
    return 0;
}

static int call_start_server(const void *options)
{
    weir_server *server;
    int err = weir_start_server(loop, handle, "127.0.0.1", 0, options, &server);
    if (err == 0) {
        weir_server_free(server);
        nap();
    }
    return err;
}

static int refuse(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    return -ECONNABORTED;
}

static const struct weir_factory factory = {refuse, NULL};

static int call_create_connection(const void *options)
{
    int err = weir_create_connection(loop, &factory, HOST, PORT, options, NULL,
                                     NULL, NULL);
    if (err == 0) {
        nap();
        fake_peer_close(fake_listener_accept(listener));
    }
    return err;
}

static int call_create_server(const void *options)
{
    weir_server *server;
    int err = weir_create_server(loop, &factory, "127.0.0.1", 0, options, NULL,
                                 NULL, &server);
    if (err == 0) {
        nap();
        weir_server_free(server);
        nap();
    }
    return err;
}

/* An inner struct of options: its offset and size. A size of 0 means none. */
struct place {
    size_t offset;
    size_t size;
};

struct row {
    const char *name;
    int (*call)(const void *options);
    size_t size;
    struct place inner;
    struct place second; /* in the inner struct */
    struct place third;  /* in the second struct */
};

/* The fake machine has one ring, so this call needs a place without a loop. */
static const struct row loop_row = {
    .name = "loop",
    .call = call_loop_new,
    .size = sizeof(struct weir_loop_options),
};

static const struct row rows[] = {
    {"task", call_task_spawn, sizeof(struct weir_task_options), {0}, {0}, {0}},
    {"executor",
     call_set_executor,
     sizeof(struct weir_executor_options),
     {0},
     {0},
     {0}},
    {"timeouts",
     call_set_timeouts,
     sizeof(struct weir_timeouts),
     {0},
     {0},
     {0}},
    {"stream protocol",
     call_protocol_new,
     sizeof(struct weir_stream_options),
     {0},
     {0},
     {0}},
    {"connection",
     call_create_connection,
     sizeof(struct weir_connect_options),
     {offsetof(struct weir_connect_options, connection),
      sizeof(struct weir_connection_options)},
     {offsetof(struct weir_connect_options, connection.timeouts),
      sizeof(struct weir_timeouts)},
     {0}},
    {"server",
     call_create_server,
     sizeof(struct weir_server_options),
     {offsetof(struct weir_server_options, connection),
      sizeof(struct weir_connection_options)},
     {offsetof(struct weir_server_options, connection.timeouts),
      sizeof(struct weir_timeouts)},
     {0}},
    {"stream's connection",
     call_open_connection,
     sizeof(struct weir_open_options),
     {offsetof(struct weir_open_options, connect),
      sizeof(struct weir_connect_options)},
     {offsetof(struct weir_open_options, connect.connection),
      sizeof(struct weir_connection_options)},
     {offsetof(struct weir_open_options, connect.connection.timeouts),
      sizeof(struct weir_timeouts)}},
    {"stream's server",
     call_start_server,
     sizeof(struct weir_start_server_options),
     {offsetof(struct weir_start_server_options, server),
      sizeof(struct weir_server_options)},
     {offsetof(struct weir_start_server_options, server.connection),
      sizeof(struct weir_connection_options)},
     {offsetof(struct weir_start_server_options, server.connection.timeouts),
      sizeof(struct weir_timeouts)}},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static uint8_t *page;

static void map_page(void)
{
    page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect_neq(page, MAP_FAILED);
    expect_eq(mprotect(page + PAGE, PAGE, PROT_NONE), 0);
}

static void set_size(uint8_t *place, size_t size)
{
    memcpy(place, &size, sizeof(size));
}

/* Places zeroed options of @size bytes at the end of the page. */
static uint8_t *place_options(size_t size)
{
    uint8_t *options = page + PAGE - size;
    expect_leq(size, PAGE);
    memset(page, 0, PAGE);
    set_size(options, size);
    return options;
}

static void expect(const struct row *row, const uint8_t *options, int err,
                   const char *how, size_t number)
{
    const int result = row->call(options);
    expect_eq(result, err, "options of a %s, %s %zu: %d, not %d", row->name,
              how, number, result, err);
}

static int on_machine(weir_loop *on, void *arg)
{
    struct weir_address address;
    void (*const each)(const struct row *row) =
        *(void (**)(const struct row *row))arg;
    expect_eq(weir_address_parse(HOST, PORT, &address), 0);
    listener = fake_listen(&address.storage.any, address.len);
    pair_open(&a_pair);
    for (size_t i = 0; i < ROWS; i++) {
        each(&rows[i]);
    }
    pair_close(&a_pair);
    return 0;
}

static void with_each(void (*each)(const struct row *row))
{
    static const struct fake_options machine = {.seed = 1};

    map_page();
    fake_start(&machine);
    each(&loop_row);
    fake_stop();
    expect_eq(rig_run(on_machine, &each), 0);
    munmap(page, 2 * PAGE);
}

UNIT_IN(options, of_an_older_header_are_not_read_beyond_their_size, with_each,
        const struct row *row)
{
    for (size_t size = sizeof(size_t); size <= row->size; size++) {
        expect(row, place_options(size), 0, "size", size);
    }
}

UNIT_IN(options, without_a_size_are_refused_and_nothing_behind_it_is_read,
        with_each, const struct row *row)
{
    for (size_t size = 0; size < sizeof(size_t); size++) {
        uint8_t *options = place_options(sizeof(size_t));
        set_size(options, size);
        expect(row, options, WEIR_EOPTIONSIZE, "size", size);
    }
}

UNIT_IN(options, of_a_newer_header_are_taken_when_what_is_unknown_is_zero,
        with_each, const struct row *row)
{
    for (size_t tail = 1; tail <= TAIL_MAX; tail++) {
        uint8_t *options = place_options(row->size + tail);
        expect(row, options, 0, "zero tail", tail);
        options[row->size] = 1;
        expect(row, options, -E2BIG, "tail with its first byte set", tail);
        options[row->size] = 0;
        options[row->size + tail - 1] = 1;
        expect(row, options, -E2BIG, "tail with its last byte set", tail);
    }
}

/* Varies the size of an inner struct. Fields beyond it are set to values that
 * would be refused if they were read. */
static void vary_inner(const struct row *row, const struct place *inner)
{
    if (inner->size == 0) {
        return;
    }
    uint8_t *options = place_options(row->size);
    for (size_t size = 1; size <= inner->size; size++) {
        uint8_t *place = options + inner->offset;
        memset(place, 0, inner->size);
        memset(place + size, 0xff, inner->size - size);
        set_size(place, size);
        expect(row, options, size < sizeof(size) ? -EINVAL : 0,
               "a struct inside of size", size);
    }
    memset(options + inner->offset, 0, inner->size);
    set_size(options + inner->offset, inner->size + 1);
    expect(row, options, -EINVAL, "a struct inside that is larger by", 1);
    for (size_t tail = 1; tail <= TAIL_MAX; tail++) {
        options = place_options(row->size + tail);
        set_size(options + inner->offset, inner->size + tail);
        expect(row, options, 0, "a newer struct inside, larger by", tail);
        options[row->size] = 1;
        expect(row, options, -E2BIG, "the same with its tail set", tail);
    }
}

UNIT_IN(options, inside_of_options_are_read_by_the_same_rule, with_each,
        const struct row *row)
{
    vary_inner(row, &row->inner);
    vary_inner(row, &row->second);
    vary_inner(row, &row->third);
}

/* Both structs may grow, so nothing may follow the inner one. */
UNIT_IN(options, inside_of_options_are_their_last_field, with_each,
        const struct row *row)
{
    const struct place *const inner[] = {&row->inner, &row->second,
                                         &row->third};
    for (size_t i = 0; i < 3 && inner[i]->size > 0; i++) {
        expect_eq(inner[i]->offset + inner[i]->size, row->size,
                  "options of a %s", row->name);
    }
}

TASK(options, a_socket_is_taken_even_if_they_cannot_be_read)
{
    struct {
        struct weir_connect_options known;
        uint64_t unknown;
    } newer = {.known = {.size = sizeof(newer)}, .unknown = 1};
    const size_t sizes[] = {sizeof(newer), 0};
    const int errs[] = {-E2BIG, WEIR_EOPTIONSIZE};
    for (int i = 0; i < 2; i++) {
        struct fake_peer *peer;
        newer.known.size = sizes[i];
        expect_eq(weir_create_connection_at(
                      loop, &factory,
                      weir_endpoint_fd(fake_connected_fd(&peer)), &newer.known,
                      NULL, NULL, NULL),
                  errs[i]);
        cr_assert(fake_peer_is_alone(peer), "the socket is closed");
        fake_peer_close(peer);
    }
}
