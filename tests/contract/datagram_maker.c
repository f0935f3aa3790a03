/*
 * Creating datagram endpoints: options and addresses that are checked, the
 * program's own sockets, errors from the call and errors from done, and failing
 * allocations.
 */
#include "tests/contract/datagram_rig.h"
#include "tests/walk.h"

struct second {
    struct dg *rig;
    weir_transport *t;
    char log[32]; /* F factory, M made, D done, L lost */
    int done_err;
    int factory_result;
};

static struct second second;

static void letter(char c)
{
    const size_t len = strlen(second.log);
    cr_assert_lt(len + 1, sizeof(second.log));
    second.log[len] = c;
}

static void second_made(void *user, weir_transport *t)
{
    letter('M');
    second.t = t;
}

static void second_lost(void *user, weir_transport *t, int err)
{
    letter('L');
    second.t = NULL;
}

static CALLBACKS(second_protocol, DATAGRAM, .connection_made = second_made,
                 .connection_lost = second_lost);

static int second_create(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    letter('F');
    *ret = (struct weir_protocol_binding){&second_protocol, NULL};
    return second.factory_result;
}

static void second_done(void *arg, int err, weir_transport *t)
{
    letter('D');
    second.done_err = err;
    expect_eq(err < 0, t == NULL);
}

static struct weir_datagram_options second_options(struct dg *rig)
{
    memset(&second, 0, sizeof(second));
    second.rig = rig;
    second.done_err = 1;
    return (struct weir_datagram_options){
        .size = sizeof(struct weir_datagram_options)};
}

static const struct weir_factory second_factory = {second_create, NULL};

static int make(const struct weir_datagram_options *options, weir_pending **ret)
{
    return weir_create_datagram_endpoint(second.rig->loop, &second_factory,
                                         options, second_done, NULL, ret);
}

static int make_at(const struct weir_address *local,
                   const struct weir_address *remote,
                   const struct weir_datagram_options *options)
{
    return weir_create_datagram_endpoint_at(
        second.rig->loop, &second_factory,
        local ? weir_endpoint_addresses(local, 1) : weir_endpoint_none(),
        remote ? weir_endpoint_addresses(remote, 1) : weir_endpoint_none(),
        options, second_done, NULL, NULL);
}

static int adopt(int fd, const struct weir_datagram_options *options)
{
    return weir_create_datagram_endpoint_at(
        second.rig->loop, &second_factory, weir_endpoint_fd(fd),
        weir_endpoint_none(), options, second_done, NULL, NULL);
}

static void wait_done(void)
{
    RUN_UNTIL(second.rig->loop, second.done_err != 1);
}

static bool second_has_received(void)
{
    struct weir_datagram_counts counts = {.size = sizeof(counts)};
    expect_eq(weir_transport_get_datagram_counts(second.t, &counts), 0);
    return counts.received > 0;
}

static void end_second(void)
{
    if (second.t) {
        weir_transport_abort(second.t);
        dg_turns(second.rig, 3);
    }
    expect_eq(second.t, NULL);
}

DATAGRAMS(datagram_maker, it_makes_one_in_order_and_not_inside_the_call, rig, 0)
{
    struct weir_datagram_options options = second_options(rig);
    options.family = rig->family;

    expect_eq(make(&options, NULL), 0);
    expect_str_eq(second.log, "");
    wait_done();

    expect_eq(second.done_err, 0);
    expect_str_eq(second.log, "FMD");
    struct weir_address own;
    struct weir_address peer;
    weir_transport_get_sockname(second.t, &own);
    weir_transport_get_peername(second.t, &peer);
    expect_eq(own.storage.any.sa_family, rig->family);
    expect_eq(peer.len, 0);
    if (rig->family != AF_UNIX) {
        expect_neq(own.storage.inet.sin_port, 0);
    }
    weir_transport_close(second.t);
    dg_turns(rig, 3);
    expect_str_eq(second.log, "FMDL");
}

DATAGRAMS(datagram_maker, hosts_are_text_as_well, rig, 0)
{
    struct weir_datagram_options options = second_options(rig);
    if (rig->family == AF_UNIX) {
        return;
    }
    const char *host = rig->family == AF_INET ? "127.0.0.1" : "::1";
    options.local_host = host;
    options.remote_host = host;
    options.remote_port = ntohs(rig->address.storage.inet.sin_port);

    expect_eq(make(&options, NULL), 0);
    wait_done();
    expect_eq(second.done_err, 0);
    struct weir_address peer;
    weir_transport_get_peername(second.t, &peer);
    cr_assert(weir_address_is_equal(&peer, &rig->address));
    expect_eq(weir_transport_sendto(second.t, "hi", 2, NULL), 0);
    dg_wait_received(rig, 1);
    expect_eq(rig->last.len, 2);
    end_second();
}

DATAGRAMS(datagram_maker, a_port_alone_is_one_of_both_families, rig, 0)
{
    struct weir_datagram_options options;
    struct weir_address fresh;
    if (rig->family == AF_UNIX) {
        return;
    }
    do { /* until no other process has the port, in either family */
        options = second_options(rig);
        fresh = dg_fresh_address(rig);
        options.local_port = ntohs(fresh.storage.inet.sin_port);
        expect_eq(make(&options, NULL), 0);
        wait_done();
    } while (second.done_err == -EADDRINUSE);
    expect_eq(second.done_err, 0);
    expect_eq(sendto(rig->peer, "x", 1, 0, &fresh.storage.any, fresh.len), 1);
    RUN_UNTIL(rig->loop, second_has_received());
    end_second();
}

DATAGRAMS(datagram_maker, mistakes_are_told_by_the_call, rig, 0)
{
    const struct weir_factory none = {NULL, NULL};
    struct weir_address other;
    struct weir_datagram_options options = second_options(rig);
    struct weir_datagram_options good;
    weir_pending *endpoint;
    options.family = rig->family;
    good = options;
    expect_ok(weir_address_parse(rig->family == AF_INET ? "::1" : "127.0.0.1",
                                 9, &other));

    expect_eq(make(NULL, NULL), -EINVAL, "neither family nor address");
    expect_eq(weir_create_datagram_endpoint(rig->loop, &none, &options, NULL,
                                            NULL, NULL),
              -EINVAL);
    options.size = 0;
    expect_eq(make(&options, NULL), WEIR_EOPTIONSIZE);
    options = good;
    expect_eq(weir_create_datagram_endpoint(rig->loop, &second_factory,
                                            &options, NULL, NULL, &endpoint),
              -EINVAL, "a handle without done");
    expect_eq(make_at(&other, NULL, &options), -EINVAL, "another family");
    expect_eq(make_at(NULL, &other, &options), -EINVAL, "another family");
    options.remote_host = "127.0.0.1";
    options.remote_port = 9;
    expect_eq(make_at(NULL, &rig->address, &options), -EINVAL, "two peers");
    options = good;
    options.local_port = 5;
    expect_eq(make_at(&rig->address, NULL, &options), -EINVAL, "two own ports");
    options = good;
    options.remote_port = 5;
    expect_eq(make(&options, NULL), -EINVAL, "a port without a host");
    options = good;
    options.remote_host = "localhost";
    if (rig->family == AF_UNIX) {
        expect_eq(make(&options, NULL), -EINVAL, "a name for a Unix socket");
    }
    options.remote_host = "127.1";
    expect_eq(make(&options, NULL),
              rig->family == AF_UNIX ? -EINVAL : WEIR_EDNSBADNAME);
    options = good;
    options.size_limit_bytes = WEIR_DATAGRAM_SIZE_MAX + 1;
    expect_eq(make(&options, NULL), -EINVAL);
    options = good;
    options.read_limit_bytes = 1;
    expect_eq(make(&options, NULL), -EINVAL);
    options = good;
    options.ancillary = 1u << 30;
    expect_eq(make(&options, NULL), -EINVAL);
    options = good;
    options.family = AF_PACKET;
    expect_eq(make(&options, NULL), -EAFNOSUPPORT);
    dg_turns(rig, 2);
    expect_str_eq(second.log, "");
}

DATAGRAMS(datagram_maker, what_the_kernel_refuses_is_told_by_done, rig, 0)
{
    struct weir_datagram_options options = second_options(rig);

    expect_eq(make_at(&rig->address, NULL, &options), 0);
    wait_done();

    expect_eq(second.done_err, -EADDRINUSE);
    expect_str_eq(second.log, "D");
}

/* As after a process has died whose ring still holds the socket. */
DATAGRAMS(datagram_maker, an_address_that_becomes_free_meanwhile_is_taken, rig,
          0)
{
    struct weir_datagram_options options = second_options(rig);

    expect_eq(make_at(&rig->address, NULL, &options), 0);
    dg_turns(rig, 5);
    expect_eq(second.done_err, 1, "it is tried again");
    weir_transport_abort(rig->t);
    wait_done();

    expect_eq(second.done_err, 0);
    expect_str_eq(second.log, "FMD");
    end_second();
}

DATAGRAMS(datagram_maker, one_that_tries_again_can_be_cancelled, rig, 0)
{
    weir_pending *endpoint = NULL;
    struct weir_datagram_options options = second_options(rig);
    if (rig->family == AF_UNIX) {
        return;
    }
    options.local_host = rig->family == AF_INET ? "127.0.0.1" : "::1";
    options.local_port = ntohs(rig->address.storage.inet.sin_port);
    expect_eq(make(&options, &endpoint), 0);
    dg_turns(rig, 5);
    expect_eq(second.done_err, 1, "it is tried again");

    weir_pending_cancel(endpoint);
    wait_done();

    expect_eq(second.done_err, -ECANCELED);
    expect_str_eq(second.log, "D");
}

DATAGRAMS(datagram_maker, reuse_port_shares_an_address, rig,
          .options = {.reuse_port = true})
{
    struct weir_datagram_options options = second_options(rig);
    if (rig->family == AF_UNIX) {
        return;
    }
    options.reuse_port = true;

    expect_eq(make_at(&rig->address, NULL, &options), 0);
    wait_done();

    expect_eq(second.done_err, 0);
    end_second();
}

static int option_of(const weir_transport *t, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);
    expect_ok(getsockopt(weir_transport_get_socket(t), SOL_SOCKET, name, &value,
                         &len));
    return value;
}

/* The kernel doubles the sizes for its own overhead. */
DATAGRAMS(datagram_maker, the_kernels_buffers_have_the_sizes_that_were_given,
          rig, 0)
{
    struct weir_datagram_options options = second_options(rig);
    options.family = rig->family;
    options.receive_buffer_bytes = 20000;
    options.send_buffer_bytes = 30000;

    expect_eq(make(&options, NULL), 0);
    wait_done();

    expect_eq(second.done_err, 0);
    expect_eq(option_of(second.t, SO_RCVBUF), 40000);
    expect_eq(option_of(second.t, SO_SNDBUF), 60000);
    end_second();
}

/* The kernel reduces the sizes to its limits. */
DATAGRAMS(datagram_maker, the_kernels_buffers_may_be_as_large_as_a_number, rig,
          0)
{
    struct weir_datagram_options options = second_options(rig);
    const int usual = option_of(rig->t, SO_RCVBUF);
    options.family = rig->family;
    options.receive_buffer_bytes = UINT32_MAX;

    expect_eq(make(&options, NULL), 0);
    wait_done();

    expect_eq(second.done_err, 0);
    expect_geq(option_of(second.t, SO_RCVBUF), usual);
    end_second();
}

DATAGRAMS(datagram_maker, a_factory_that_fails_leaves_nothing, rig, 0)
{
    struct weir_datagram_options options = second_options(rig);
    options.family = rig->family;
    second.factory_result = -EPROTO;

    expect_eq(make(&options, NULL), 0);
    wait_done();

    expect_eq(second.done_err, -EPROTO);
    expect_str_eq(second.log, "FD");
}

DATAGRAMS(datagram_maker, it_can_be_cancelled, rig, 0)
{
    struct weir_datagram_options options = second_options(rig);
    weir_pending *endpoint = NULL;
    options.family = rig->family;

    expect_eq(make(&options, &endpoint), 0);
    weir_pending_cancel(endpoint);
    wait_done();

    expect_eq(second.done_err, -ECANCELED);
    expect_str_eq(second.log, "D");
}

DATAGRAMS(datagram_maker, the_loops_end_cancels_it, rig, 0)
{
    struct weir_datagram_options options = second_options(rig);
    options.family = rig->family;

    expect_eq(make(&options, NULL), 0);
    expect_eq(weir_loop_free(rig->loop), 1);

    expect_eq(second.done_err, -ECANCELED);
    weir_transport_unref(rig->t);
    rig->t = NULL;
    expect_eq(weir_loop_new(NULL, &rig->loop), 0);
}

DATAGRAMS(datagram_maker, r63__a_socket_of_the_program_is_taken, rig, 0)
{
    struct weir_datagram_options options = second_options(rig);
    struct weir_address own =
        rig->family == AF_UNIX ? dg_fresh_address(rig) : dg_fresh_address(rig);
    const int fd = dg_socket(rig, &own);
    expect_eq(connect(fd, &rig->address.storage.any, rig->address.len), 0);

    expect_eq(adopt(fd, &options), 0);
    wait_done();
    expect_eq(second.done_err, 0);
    expect_eq(weir_transport_get_socket(second.t), fd);
    struct weir_address peer;
    weir_transport_get_peername(second.t, &peer);
    cr_assert(weir_address_is_equal(&peer, &rig->address));
    expect_eq(weir_transport_sendto(second.t, "x", 1, NULL), 0);
    dg_wait_received(rig, 1);
    cr_assert(weir_address_is_equal(&rig->last.peer, &own));

    options.local_host = "::1";
    const int refused = dup(rig->peer);
    expect_eq(adopt(refused, &options), -EINVAL);
    dg_wait_closed(refused);
    options.local_host = NULL;
    const int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    expect_eq(adopt(file, &options), -EINVAL, "no socket");
    dg_wait_closed(file);
    expect_eq(adopt(-1, &options), -EBADF);
    const int unread = dup(rig->peer);
    options.size = 0;
    expect_eq(adopt(unread, &options), WEIR_EOPTIONSIZE);
    dg_wait_closed(unread);
    end_second();
}

static struct test_allocator memory;

static void make_without(void *arg)
{
    struct dg rig = {.family = AF_INET, .loop = allocator_make_loop(&memory)};
    dg_turns(&rig, 1); /* the loop has allocated what it needs */
    struct weir_datagram_options options = second_options(&rig);
    options.family = AF_INET;
    walk_begin(&memory);
    int err = make(&options, NULL);
    if (err == 0) {
        dg_turns(second.rig, 5);
        err = second.done_err;
    }
    expect_eq(err, walk_end(&memory) ? -ENOMEM : 0);
    end_second();
    expect_eq(weir_loop_free(rig.loop), 0);
}

UNIT(datagram_maker, without_memory_it_says_so_and_leaves_nothing)
{
    expect_geq(walk_allocations(&memory, make_without, NULL), 3);
}
