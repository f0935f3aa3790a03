/*
 * Upstreams on real sockets: after a refusal the next one is tried, Unix paths
 * and host names work too, limits hold and have a queue, and checks connect to
 * a server of weir.
 */
#include "tests/contract/maker.h"

#include <fcntl.h>
#include <unistd.h>
#include <weir/tls_connection.h>
#include <weir/upstream.h>

struct told {
    int count;
    int err;
    weir_transport *t;
    weir_upstream *upstream;
    weir_upstream_slot *slot;
    uint32_t try_count;
};

struct world {
    struct maker m;
    weir_upstreams *set;
    struct told told;
    int change_count;
    enum weir_upstream_state state;
};

static void world_changed(void *arg, weir_upstream *upstream,
                          enum weir_upstream_state state, int err)
{
    struct world *world = (struct world *)arg;
    world->change_count++;
    world->state = state;
}

static void world_open(struct world *world,
                       const struct weir_upstreams_options *options)
{
    struct weir_upstreams_options known = {.size = sizeof(known)};
    memset(world, 0, sizeof(*world));
    maker_open(&world->m);
    if (options) {
        known = *options;
    }
    known.changed = world_changed;
    known.changed_arg = world;
    expect_eq(weir_upstreams_new(world->m.loop, &known, &world->set), 0);
}

static void world_close(struct world *world)
{
    weir_upstream_slot_release(world->told.slot, 0);
    weir_upstreams_free(world->set);
    maker_close(&world->m);
}

static weir_upstream *add_port(struct world *world, const char *host,
                               uint16_t port)
{
    const struct weir_upstream_options options = {
        .size = sizeof(options), .endpoint = weir_endpoint_host(host, port)};
    weir_upstream *upstream = NULL;
    expect_eq(weir_upstreams_add(world->set, &options, &upstream), 0);
    return upstream;
}

static void note_end(void *arg, int err,
                     const struct weir_upstreams_result *result)
{
    struct world *world = (struct world *)arg;
    world->told = (struct told){.count = world->told.count + 1,
                                .err = err,
                                .t = result->transport,
                                .upstream = result->upstream,
                                .slot = result->slot,
                                .try_count = result->try_count};
    world->m.done++;
}

static void ask(struct world *world)
{
    expect_ok(weir_upstreams_connect(world->set, &world->m.factory, NULL,
                                     note_end, world, NULL));
}

static void run_until_done(struct world *world)
{
    world->m.done = 0;
    maker_run(&world->m, maker_is_done);
}

static struct told *connect_now(struct world *world)
{
    ask(world);
    run_until_done(world);
    return &world->told;
}

UNIT(upstream_sockets, one_that_refuses_is_followed_by_one_that_accepts)
{
    struct world world;
    struct weir_address address;
    world_open(&world, NULL);
    int listener = peer_listen(1, &address);
    add_port(&world, "127.0.0.1", 1);
    weir_upstream *good = add_port(&world, "127.0.0.1", address_port(&address));
    const struct told *told = connect_now(&world);
    expect_eq(told->err, 0);
    expect_eq(told->upstream, good);
    expect_eq(told->try_count, 2);
    expect_str_eq(world.m.log, "FM");
    world_close(&world);
    close(listener);
}

UNIT(upstream_sockets, the_own_address_of_the_options_is_kept)
{
    struct world world;
    struct weir_address address;
    struct weir_address own = peer_address("127.0.0.2", 0);
    struct weir_upstreams_connect_options options = {.size = sizeof(options)};
    world_open(&world, NULL);
    int listener = peer_listen(1, &address);
    add_port(&world, "127.0.0.1", 1);
    add_port(&world, "127.0.0.1", address_port(&address));
    options.connect.local_address = &own;
    expect_ok(weir_upstreams_connect(world.set, &world.m.factory, &options,
                                     note_end, &world, NULL));
    memset(&own, 0, sizeof(own));
    run_until_done(&world);
    expect_eq(world.told.err, 0);
    own = peer_address("127.0.0.2", 0);
    expect_eq(world.m.sockname.storage.inet.sin_addr.s_addr,
              own.storage.inet.sin_addr.s_addr);
    world_close(&world);
    close(listener);
}

UNIT(upstream_sockets, the_last_error_is_told_where_all_refuse)
{
    struct world world;
    world_open(&world, NULL);
    add_port(&world, "127.0.0.1", 1);
    weir_upstream *last = add_port(&world, "127.0.0.1", 2);
    const struct told *told = connect_now(&world);
    expect_eq(told->err, -ECONNREFUSED);
    expect_eq(told->upstream, last);
    expect_str_eq(weir_upstream_get_name(last), "127.0.0.1:2");
    world_close(&world);
}

UNIT(upstream_sockets, names_and_unix_paths_are_upstreams)
{
    struct world world;
    struct weir_address address;
    world_open(&world, NULL);
    int listener = peer_listen(1, &address);
    weir_upstream *named =
        add_port(&world, "localhost", address_port(&address));
    expect_eq(connect_now(&world)->err, 0);
    expect_eq(world.told.upstream, named);
    weir_transport_abort(world.told.t);
    weir_upstream_slot_release(world.told.slot, 0);
    world.told.slot = NULL;
    weir_upstream_remove(named);

    int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    expect_eq(bind(local, (struct sockaddr *)&name, sizeof(sa_family_t)), 0);
    socklen_t len = sizeof(name);
    expect_eq(getsockname(local, (struct sockaddr *)&name, &len), 0);
    expect_eq(listen(local, 1), 0);
    char path[64] = "@";
    memcpy(path + 1, name.sun_path + 1, len - sizeof(sa_family_t) - 1);
    const struct weir_upstream_options options = {
        .size = sizeof(options), .endpoint = weir_endpoint_unix(path)};
    weir_upstream *unix_one = NULL;
    expect_eq(weir_upstreams_add(world.set, &options, &unix_one), 0);
    expect_eq(connect_now(&world)->err, 0);
    expect_eq(world.told.upstream, unix_one);
    expect_eq(strncmp(weir_upstream_get_name(unix_one), "unix:@", 6), 0);
    world_close(&world);
    close(local);
    close(listener);
}

UNIT(upstream_sockets, a_limit_holds_until_a_slot_is_ended)
{
    struct world world;
    struct weir_address address;
    const struct weir_upstreams_options set_options = {
        .size = sizeof(set_options), .queue_limit = 1};
    world_open(&world, &set_options);
    int listener = peer_listen(4, &address);
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .endpoint = weir_endpoint_addresses(&address, 1),
        .connection_limit = 1};
    expect_eq(weir_upstreams_add(world.set, &options, NULL), 0);
    expect_eq(connect_now(&world)->err, 0);
    weir_upstream_slot *first = world.told.slot;
    ask(&world);
    maker_run_for(&world.m, 5 * MS);
    expect_eq(world.told.count, 1, "it waits");
    expect_eq(connect_now(&world)->err, -ENOBUFS);
    weir_upstream_slot_release(first, 0);
    run_until_done(&world);
    expect_eq(world.told.err, 0);
    world_close(&world);
    close(listener);
}

static void run_until_changed(struct world *world)
{
    world->change_count = 0;
    RUN_UNTIL(world->m.loop, world->change_count > 0);
}

static int answer_received(void *user, weir_transport *t,
                           const struct weir_buf *buf)
{
    return weir_transport_write(t, user, strlen((const char *)user));
}

static CALLBACKS(answering, STREAM, .data_received = answer_received);

static int answer_create(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    *ret = (struct weir_protocol_binding){&answering, *(char **)arg};
    return 0;
}

static void check_server(const struct weir_upstream_check *check,
                         const char *good, const char *bad)
{
    struct world world;
    const char *text = good;
    const struct weir_upstreams_options options = {.size = sizeof(options),
                                                   .check = check};
    const struct weir_factory factory = {answer_create, &text};
    world_open(&world, &options);
    expect_ok(weir_create_server(world.m.loop, &factory, "127.0.0.1", 0, NULL,
                                 maker_server_done, &world.m, &world.m.server));
    RUN_UNTIL(world.m.loop, world.m.done > 0);
    add_port(&world, "127.0.0.1", server_port(world.m.server));
    run_until_changed(&world);
    expect_eq(world.state, WEIR_UPSTREAM_UP, "starts_down is set");
    text = bad;
    run_until_changed(&world);
    expect_eq(world.state, WEIR_UPSTREAM_DOWN);
    expect_eq(connect_now(&world)->err, -EHOSTDOWN);
    text = good;
    run_until_changed(&world);
    expect_eq(world.state, WEIR_UPSTREAM_UP);
    world_close(&world);
}

UNIT(upstream_sockets, a_server_is_checked_by_http)
{
    const struct weir_upstream_check check = {.size = sizeof(check),
                                              .kind = WEIR_UPSTREAM_CHECK_HTTP,
                                              .interval_ns = 1 * MS,
                                              .timeout_ns = 20000 * MS,
                                              .starts_down = true};
    check_server(&check, "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 500 Oh\r\n\r\n");
}

UNIT(upstream_sockets, a_server_is_checked_by_text)
{
    const struct weir_upstream_check check = {.size = sizeof(check),
                                              .kind = WEIR_UPSTREAM_CHECK_TEXT,
                                              .interval_ns = 1 * MS,
                                              .timeout_ns = 20000 * MS,
                                              .starts_down = true,
                                              .send = "PING",
                                              .send_size = 4,
                                              .expect = "PONG",
                                              .expect_size = 4,
                                              .expect_anywhere = true,
                                              .limit_bytes = 7};
    check_server(&check, "a PONG", "PIN POG");
}

static void check_port_of(const char *host)
{
    struct world world;
    struct weir_address address;
    int listener = peer_listen(64, &address);
    const struct weir_upstream_check check = {.size = sizeof(check),
                                              .interval_ns = 1 * MS,
                                              .fall = 2,
                                              .starts_down = true,
                                              .port = address_port(&address)};
    const struct weir_upstreams_options options = {.size = sizeof(options),
                                                   .check = &check};
    const struct weir_upstream_options local = {
        .size = sizeof(local), .endpoint = weir_endpoint_unix("@none")};
    world_open(&world, &options);
    add_port(&world, host, 1);
    run_until_changed(&world);
    expect_eq(world.state, WEIR_UPSTREAM_UP, "%s", host);
    expect_eq(connect_now(&world)->err, -ECONNREFUSED);
    close(listener);
    run_until_changed(&world);
    expect_eq(world.state, WEIR_UPSTREAM_DOWN);
    expect_eq(weir_upstreams_add(world.set, &local, NULL), -EINVAL);
    world_close(&world);
}

UNIT(upstream_sockets, a_check_may_go_to_another_port)
{
    check_port_of("127.0.0.1");
    check_port_of("localhost");
}

UNIT(upstream_sockets, a_listener_that_closes_is_found_down)
{
    struct world world;
    struct weir_address address;
    const struct weir_upstream_check check = {
        .size = sizeof(check), .interval_ns = 1 * MS, .fall = 2};
    const struct weir_upstreams_options options = {.size = sizeof(options),
                                                   .check = &check};
    world_open(&world, &options);
    int listener = peer_listen(64, &address);
    add_port(&world, "127.0.0.1", address_port(&address));
    close(listener);
    run_until_changed(&world);
    expect_eq(world.state, WEIR_UPSTREAM_DOWN);
    world_close(&world);
}

UNIT(upstream_sockets, one_address_is_the_place_of_an_upstream)
{
    struct weir_address both[2];
    struct world world;
    expect_ok(weir_address_parse("127.0.0.1", 80, &both[0]));
    expect_ok(weir_address_parse("127.0.0.2", 80, &both[1]));
    world_open(&world, NULL);
    for (size_t count = 0; count < 3; count++) {
        const struct weir_upstream_options options = {
            .size = sizeof(options),
            .endpoint = weir_endpoint_addresses(both, count)};
        expect_eq(weir_upstreams_add(world.set, &options, NULL),
                  count == 1 ? 0 : -EINVAL);
    }
    expect_eq(weir_upstreams_get_count(world.set), 1);
    world_close(&world);
}

UNIT(upstream_sockets, place_of_a_descriptor_is_refused_and_closed)
{
    struct weir_endpoint (*const places[])(int fd) = {
        weir_endpoint_fd, weir_endpoint_read_pipe, weir_endpoint_write_pipe};
    struct world world;
    world_open(&world, NULL);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const int fd = dup(0);
        expect_eq(fd >= 0, true);
        const struct weir_upstream_options options = {
            .size = sizeof(options), .endpoint = places[i](fd)};
        expect_eq(weir_upstreams_add(world.set, &options, NULL), -EINVAL);
        expect_eq(fcntl(fd, F_GETFD), -1);
    }
    expect_eq(weir_upstreams_get_count(world.set), 0);
    world_close(&world);
}

UNIT(upstream_sockets, bad_options_are_refused_and_change_nothing)
{
    struct world world;
    struct weir_upstream_options options = {.size = sizeof(options)};
    struct weir_upstreams_options set_options = {.size = sizeof(set_options)};
    struct weir_upstreams_connect_options ask_options = {
        .size = sizeof(ask_options)};
    weir_upstreams *set = NULL;
    world_open(&world, NULL);
    expect_eq(weir_upstreams_add(world.set, &options, NULL), -EINVAL);
    options.endpoint.host = "a b";
    expect_eq(weir_upstreams_add(world.set, &options, NULL), WEIR_EDNSBADNAME);
    options.endpoint.host = "fe80::1%nolink";
    expect_eq(weir_upstreams_add(world.set, &options, NULL), -ENODEV);
    options.endpoint = weir_endpoint_unix("");
    expect_eq(weir_upstreams_add(world.set, &options, NULL), -EINVAL);
    options.endpoint = weir_endpoint_unix("/run/x");
    options.weight = 257;
    expect_eq(weir_upstreams_add(world.set, &options, NULL), -EINVAL);
    options.size = 0;
    expect_eq(weir_upstreams_add(world.set, &options, NULL), WEIR_EOPTIONSIZE);
    expect_eq(weir_upstreams_get_count(world.set), 0);
    expect_eq(weir_upstreams_get_upstream(world.set, 0) == NULL, true);

    weir_upstream *upstream = add_port(&world, "::1", 80);
    expect_str_eq(weir_upstream_get_name(upstream), "[::1]:80");
    expect_eq(weir_upstream_get_user(upstream) == NULL, true);
    expect_eq(weir_upstream_set_weight(upstream, 257), -EINVAL);
    struct weir_upstream_statistics info = {.size = 0};
    expect_eq(weir_upstream_get_statistics(upstream, &info), WEIR_EOPTIONSIZE);
    struct weir_upstreams_statistics set_info = {.size = 0};
    expect_eq(weir_upstreams_get_statistics(world.set, &set_info),
              WEIR_EOPTIONSIZE);

    expect_eq(
        weir_upstreams_connect(world.set, NULL, NULL, note_end, NULL, NULL),
        -EINVAL);
    expect_eq(weir_upstreams_connect(world.set, &world.m.factory, NULL, NULL,
                                     NULL, NULL),
              -EINVAL);
    ask_options.tries = 17;
    expect_eq(weir_upstreams_connect(world.set, &world.m.factory, &ask_options,
                                     note_end, NULL, NULL),
              -EINVAL);
    set_options.balance = (enum weir_balance)99;
    expect_eq(weir_upstreams_new(world.m.loop, &set_options, &set), -EINVAL);
    world_close(&world);
}

/* The set has the TLS settings; bytes sent with the SYN would be lost if the
 * next upstream is tried. */
UNIT(upstream_sockets, a_request_brings_no_tls_and_opens_none_fast)
{
    const struct weir_tls_settings tls = {.size = sizeof(tls)};
    struct weir_upstreams_connect_options options = {.size = sizeof(options)};
    struct world world;
    world_open(&world, NULL);
    options.connect.tls = &tls;
    expect_eq(weir_upstreams_connect(world.set, &world.m.factory, &options,
                                     note_end, NULL, NULL),
              -EINVAL);
    options.connect.tls = NULL;
    options.connect.fast_open = true;
    expect_eq(weir_upstreams_connect(world.set, &world.m.factory, &options,
                                     note_end, NULL, NULL),
              -EINVAL);
    world_close(&world);
}

UNIT(upstream_sockets, an_address_that_is_none_is_refused_whatever_the_check)
{
    struct weir_address addresses[3] = {{.len = 0}};
    addresses[1].storage.any.sa_family = AF_NETLINK;
    addresses[1].len = sizeof(addresses[1].storage.any);
    addresses[2].storage.any.sa_family = AF_INET;
    addresses[2].len = 2;

    for (int i = 0;
         weir_upstream_check_kind_get_name((enum weir_upstream_check_kind)i);
         i++) {
        const struct weir_upstream_check check = {
            .size = sizeof(check),
            .kind = (enum weir_upstream_check_kind)i,
            .interval_ns = 1000 * MS,
            .user = "u"};
        const struct weir_upstreams_options options = {.size = sizeof(options),
                                                       .check = &check};
        const struct weir_tls_settings tls = {.size = sizeof(tls),
                                              .server_hostname = "a.example"};
        struct world world;
        world_open(&world, &options);
        for (size_t j = 0; j < 6; j++) {
            const struct weir_upstream_options upstream = {
                .size = sizeof(upstream),
                .endpoint = weir_endpoint_addresses(&addresses[j % 3], 1),
                .tls = j < 3 ? &tls : NULL};
            expect_eq(weir_upstreams_add(world.set, &upstream, NULL), -EINVAL);
        }
        world_close(&world);
    }
}

UNIT(upstream_sockets, an_old_program_gets_the_fields_that_it_knows)
{
    struct world world;
    struct weir_upstream_statistics info;
    world_open(&world, NULL);
    weir_upstream *upstream = add_port(&world, "127.0.0.1", 80);
    memset(&info, 0x55, sizeof(info));
    info.size = offsetof(struct weir_upstream_statistics, active_count);
    expect_eq(weir_upstream_get_statistics(upstream, &info), 0);
    expect_eq(info.weight, 1);
    expect_eq(info.active_count, 0x55555555);
    world_close(&world);
}
