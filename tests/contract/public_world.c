/*
 * Every public call inside every callback: the objects that all scenes of a
 * test need, and the arguments of the calls.
 *
 * An argument is made again for each call if the loop may take ownership of it,
 * and is released at the end of the scene.
 */
#include "tests/contract/public.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <tests/have.h>
#include <weir/embed.h>
#include <weir/pair.h>
#include <weir/reader.h>
#include <weir/server.h>
#if WR_TESTS_TLS
#include "tests/tls/rig.h"
#endif

enum { COMPLAINTS = 200, COMPLAINT_BYTES = 200 };

struct public_scene scene;
struct public_world public;
uint8_t public_bytes[PUBLIC_BYTES];
char public_room[128];
const struct iovec public_pieces[3] = {
    {public_bytes, 100}, {public_bytes, 0}, {public_bytes, SIZE_MAX}};

#define WORLD_TEXT(name, text) text,
static const char *const kind_texts[] = {PUBLIC_KINDS(WORLD_TEXT)};
static const char *const moment_texts[] = {
    PUBLIC_MOMENTS(WORLD_TEXT) "a random walk"};

const char *public_text(void)
{
    static char text[500];

    snprintf(text, sizeof(text), "seed %llu: %s, in %s: %s",
             (unsigned long long)scene.seed, kind_texts[scene.kind],
             moment_texts[scene.moment],
             scene.call ? scene.call->text : "no call yet");
    return text;
}

static char complaints[COMPLAINTS][COMPLAINT_BYTES];
static size_t complaint_count;

void public_complain(const struct public_call *call, const char *what)
{
    const int name_bytes = (int)strcspn(call->text, "(");
    char text[COMPLAINT_BYTES];
    size_t i = 0;

    snprintf(text, sizeof(text), "%.*s() returns %s", name_bytes, call->text,
             what);
    while (i < complaint_count && strcmp(complaints[i], text) != 0) {
        i++;
    }
    if (i == complaint_count && i < COMPLAINTS) {
        snprintf(complaints[complaint_count++], COMPLAINT_BYTES, "%s", text);
        fprintf(stderr, "%s; first: %s\n", text, public_text());
    }
}

/* A failed assertion of the library must name the call that caused it. */
static void world_died(int signum)
{
    const char *text = public_text();

    wr_ignore(write(2, text, strlen(text)) < 0);
    wr_ignore(write(2, "\n", 1) < 0);
    signal(signum, SIG_DFL);
    raise(signum);
}

static void world_server_done(void *arg, int err, weir_server *server)
{
    expect_eq(err, 0);
    *(bool *)arg = true;
}

static void world_open_side(struct public_side *side)
{
    static struct weir_protocol_binding sink;
    const struct weir_factory factory = {bind_answer, &sink};
    bool is_there = false;

    sink = public_sink(NULL);
    expect_eq(weir_loop_new(NULL, &side->loop), 0);
    weir_loop_set_exception_handler(side->loop, public_call_hook, NULL);
    side->mailbox = weir_loop_get_mailbox(side->loop);
    expect_eq(weir_reader_new(side->loop, 1000, &side->reader), 0);
    expect_ok(weir_create_server(side->loop, &factory, NULL, 0,
                                 SIZED(weir_server_options, .no_sockets = true),
                                 world_server_done, &is_there, &side->server));
    while (!is_there) {
        expect_eq(weir_loop_run_once(side->loop), 0);
    }
}

void public_make_spares(void)
{
    for (int i = 0; i < PUBLIC_SIDES; i++) {
        struct public_side *side = &public.sides[i];
        const struct weir_protocol_binding bindings[2] = {public_sink(side),
                                                          public_sink(side)};
        if (!side->spare[0]) {
            expect_ok(
                weir_transport_pair(side->loop, bindings, NULL, side->spare));
        }
    }
}

static void world_open(void)
{
    struct sockaddr_in *address = (struct sockaddr_in *)&public.address.storage;
    socklen_t len = sizeof(*address);

    memset(public_bytes, 'x', sizeof(public_bytes));
    public.tells = getenv("WEIR_PUBLIC_TELLS") != NULL;
    for (int i = 0; i < PUBLIC_SIDES; i++) {
        world_open_side(&public.sides[i]);
    }
    public.listener = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_addr = {htonl(INADDR_LOOPBACK)}};
    expect_eq(bind(public.listener, (struct sockaddr *)address, len), 0);
    expect_eq(listen(public.listener, 16), 0);
    expect_ok(getsockname(public.listener, (struct sockaddr *)address, &len));
    public.address.len = len;
    public.file = memfd_create("public", 0);
    expect_eq(write(public.file, public_bytes, 2000), 2000);
#if WR_TESTS_TLS
    if (getenv("WEIR_TLS_CERTIFICATES")) {
        public.client = tls_context_of(false, 0);
        public.server = tls_context_of(true, 0);
        public.old_client = tls_context_of(false, 12);
    }
#endif
}

static void world_close(void)
{
    for (int i = 0; i < PUBLIC_SIDES; i++) {
        weir_transport_abort(public.sides[i].spare[0]);
        weir_transport_abort(public.sides[i].spare[1]);
    }
    public_turns(3);
#if WR_TESTS_TLS
    if (public.client) {
        tls_contexts_unref(public.client, public.server);
        weir_tls_context_unref(public.old_client);
    }
#endif
    for (int i = 0; i < PUBLIC_SIDES; i++) {
        struct public_side *side = &public.sides[i];
        weir_server_free(side->server);
        weir_reader_free(side->reader);
        expect_eq(weir_loop_free(side->loop), 0);
        weir_mailbox_unref(side->mailbox);
    }
    close(public.listener);
    close(public.file);
}

void public_run(void (*body)(void))
{
#ifndef UNIT_HAS_LSAN
    signal(SIGSEGV, world_died);
#endif
    signal(SIGABRT, world_died);
    signal(SIGPIPE, SIG_IGN);
    world_open();
    public_make_spares();
    body();
    world_close();
    fprintf(stderr, "%llu scenes, %llu calls\n",
            (unsigned long long)public.scenes,
            (unsigned long long)public.calls);
    expect_eq(complaint_count, 0);
}

void public_turn(void)
{
    for (int i = 0; i < PUBLIC_SIDES; i++) {
        if (i == PUBLIC_HERE || !scene.is_stalled) {
            expect_eq(weir_loop_run_once(public.sides[i].loop), 0);
        }
    }
    sched_yield();
}

void public_turns(int count)
{
    for (int i = 0; i < count; i++) {
        public_turn();
    }
}

void public_know(weir_transport *t)
{
    size_t i = 0;

    while (i < scene.known_count && scene.known[i] != t) {
        i++;
    }
    if (i == scene.known_count) {
        expect_lt(i, PUBLIC_KNOWN);
        scene.known[scene.known_count++] = weir_transport_ref(t);
    }
}

void public_begin(enum public_operation operation)
{
    scene.begun[operation]++; /* its done callback may run inside the call */
    if (operation == PUBLIC_START_TLS) {
        public.ret = NULL;
    }
}

void public_begun(enum public_operation operation, int64_t result,
                  bool has_done)
{
    if (result < 0 || !has_done) {
        scene.begun[operation]--;
    }
    if (result < 0) {
        return;
    }
    if (operation == PUBLIC_START_TLS && public.ret) {
        public_know(public.ret);
    }
    scene.is_taken |= operation == PUBLIC_RELAY;
}

static void world_done(enum public_operation operation)
{
    scene.done[operation]++;
    expect_leq(scene.done[operation], scene.begun[operation]);
    if (operation == PUBLIC_MOVE || operation == PUBLIC_RELAY) {
        public.pending = NULL;
    }
}

void public_opened(void *arg, int err, weir_transport *t)
{
    expect_eq(err == 0, t != NULL);
    world_done(PUBLIC_MAKER);
    if (arg && t) {
        public_reach(PUBLIC_AT_OPENED, t);
    } else if (!arg) {
        scene.peer = t;
    }
}

void public_move_done(void *arg, int err)
{
    expect_leq(err, 0);
    world_done(PUBLIC_MOVE);
    public_reach(PUBLIC_AT_MOVE_DONE, scene.t);
}

void public_start_tls_done(void *arg, int err, weir_transport *t)
{
    expect_leq(err, 0);
    public_know(t);
    world_done(PUBLIC_START_TLS);
    public_reach(PUBLIC_AT_TLS_DONE, t);
}

void public_sendfile_done(void *arg, weir_transport *t, int err, uint64_t sent)
{
    expect_leq(err, 0);
    world_done(PUBLIC_SENDFILE);
    public_reach(PUBLIC_AT_FILE_SENT, t);
}

void public_relay_done(void *arg, int err,
                       const struct weir_relay_record *record)
{
    expect_leq(err, 0);
    world_done(PUBLIC_RELAY);
    public_reach(PUBLIC_AT_RELAY_DONE, scene.t);
}

void *public_done_arg(void)
{
    return &scene;
}

struct public_side *public_side_of(const weir_transport *t)
{
    const weir_loop *loop = weir_transport_get_loop(t);

    return &public.sides[loop == public.sides[PUBLIC_HERE].loop ? PUBLIC_HERE
                                                                : PUBLIC_THERE];
}

weir_mailbox *public_own_mailbox(weir_transport *t)
{
    return public_side_of(t)->mailbox;
}

weir_mailbox *public_mailbox(weir_transport *t)
{
    struct public_side *own = public_side_of(t);

    return public.sides[own == &public.sides[PUBLIC_HERE]].mailbox;
}

weir_reader *public_reader(weir_transport *t)
{
    return public_side_of(t)->reader;
}

weir_server *public_server(weir_transport *t)
{
    return public_side_of(t)->server;
}

weir_transport *public_other(weir_transport *t)
{
    struct public_side *side = public_side_of(t);
    weir_transport *end = side->spare[0];

    if (!end) {
        return t; /* a second relay of a scene */
    }
    public_know(side->spare[0]);
    public_know(side->spare[1]);
    side->spare[0] = NULL;
    side->spare[1] = NULL;
    return end;
}

int public_file(void)
{
    return public.file;
}

const int *public_fds(void)
{
    static int fds[254];

    for (int i = 0; i < 254; i++) {
        fds[i] = public.file;
    }
    return fds;
}

const struct weir_address *public_group(void)
{
    static struct weir_address group;

    expect_eq(weir_address_parse("239.1.2.3", 0, &group), 0);
    return &group;
}

const struct weir_address *public_address(weir_transport *t)
{
    static struct weir_address address;

    weir_transport_get_peername(t, &address);
    if (address.len == 0) {
        address = public.address;
    }
    return &address;
}

const struct weir_buf *public_buf(weir_transport *t)
{
    static const struct weir_buf none;

    return scene.buf && weir_transport_get_loop(t) == scene.buf_loop ? scene.buf
                                                                     : &none;
}

static int world_refuse(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    return -EPROTO;
}

const struct weir_factory *public_factory(void)
{
    static const struct weir_factory factory = {public_create, NULL};

    return &factory;
}

const struct weir_factory *public_refusing_factory(void)
{
    static const struct weir_factory factory = {world_refuse, NULL};

    return &factory;
}

const struct weir_protocol_binding *public_bindings(void)
{
    static struct weir_protocol_binding bindings[2];

    bindings[0] = public_sink(NULL);
    bindings[1] = public_sink(NULL);
    return bindings;
}

const struct weir_tls_settings *public_tls(void)
{
    static struct weir_tls_settings settings;

    settings = (struct weir_tls_settings){.size = sizeof(settings),
                                          .context = public.client,
                                          .server_hostname = "localhost"};
    return &settings;
}

weir_pending **public_pending(void)
{
    return &public.pending;
}

weir_transport **public_ret(void)
{
    return &public.ret;
}

weir_tls_session **public_session(void)
{
    return &public.session;
}

void public_give_session(void)
{
#if WR_TESTS_TLS
    weir_tls_session_unref(public.session);
#endif
}
