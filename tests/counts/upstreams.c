/*
 * A set of upstreams at addresses of the fake machine, whose listeners accept
 * at once. The cases of choose.c and queue.c request connections from it, one
 * after the other.
 */
#include "tests/counts/upstreams.h"

weir_upstreams *count_upstreams;

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    static const struct weir_protocol silent = {.size = sizeof(silent),
                                                .kind = WEIR_PROTOCOL_STREAM};
    ret->protocol = &silent;
    ret->user = arg;
    return 0;
}

void count_upstreams_open(struct count *c,
                          const struct weir_upstreams_options *options)
{
    count_require(weir_upstreams_new(c->loop, options, &count_upstreams) == 0,
                  "no set");
}

weir_upstream *count_upstreams_add(const char *host, uint32_t limit,
                                   struct fake_listener **ret)
{
    struct weir_address address = {.len = 0};
    weir_upstream *upstream = NULL;
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .endpoint = weir_endpoint_addresses(&address, 1),
        .connection_limit = limit,
        .user = ret};

    count_require(weir_address_parse(host, 80, &address) == 0, "no address");
    *ret = fake_listen(&address.storage.any, address.len);
    fake_listener_set(*ret, FAKE_ACCEPT, 0);
    count_require(weir_upstreams_add(count_upstreams, &options, &upstream) == 0,
                  "not added");
    return upstream;
}

void count_upstreams_ask(struct count *c,
                         const struct weir_upstreams_connect_options *options,
                         weir_upstreams_done_fn *served)
{
    const struct weir_factory factory = {make_protocol, c};

    count_require(weir_upstreams_connect(count_upstreams, &factory, options,
                                         served, c, NULL) == 0,
                  "not asked");
}

void count_upstreams_end(const struct weir_upstreams_result *result)
{
    struct fake_listener **listener = weir_upstream_get_user(result->upstream);
    struct fake_peer *peer;

    weir_transport_abort(result->transport);
    weir_upstream_slot_release(result->slot, 0);
    while ((peer = fake_listener_accept(*listener))) {
        fake_peer_close(peer);
    }
}

bool count_upstreams_are_over(const struct count *c)
{
    return c->done >= c->turns_left;
}
