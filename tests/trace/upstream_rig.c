/*
 * A set of upstreams on the fake machine; see upstream_rig.h.
 *
 * Each upstream has a fake listener, which accepts or refuses after a
 * millisecond, so that times in tests are multiples of a millisecond.
 */
#include "tests/trace/upstream_rig.h"

#include <weir/error.h>

struct ups ups;

static void ups_changed(void *arg, weir_upstream *upstream,
                        enum weir_upstream_state state, int err)
{
    static const char *const names[] = {
        [WEIR_UPSTREAM_UP] = "up",           [WEIR_UPSTREAM_CHECKING] = "?",
        [WEIR_UPSTREAM_DOWN] = "down",       [WEIR_UPSTREAM_EJECTED] = "out",
        [WEIR_UPSTREAM_DRAINING] = "drains", [WEIR_UPSTREAM_REMOVED] = "gone"};
    const size_t len = strlen(ups.changes);
    snprintf(ups.changes + len, sizeof(ups.changes) - len, "%s:%s ",
             weir_upstream_get_name(upstream), names[state]);
    ups.change_err = err;
    if (ups.frees_when_changed) {
        weir_upstreams_free(ups.set);
        ups.set = NULL;
    }
}

static void ups_in_use(void *arg, weir_upstream *upstream)
{
    const size_t len = strlen(ups.uses);
    snprintf(ups.uses + len, sizeof(ups.uses) - len, "%s ",
             weir_upstream_get_name(upstream));
    if (ups.frees_when_used) {
        weir_upstreams_free(ups.set);
        ups.set = NULL;
    }
}

static void ups_skipped(void *arg, weir_upstream *upstream, int err)
{
    const size_t len = strlen(ups.skips);
    snprintf(ups.skips + len, sizeof(ups.skips) - len, "%s:%s ",
             weir_upstream_get_name(upstream), weir_err_name(err));
    if (ups.frees_when_changed) {
        weir_upstreams_free(ups.set);
        ups.set = NULL;
    }
}

struct weir_upstreams_options ups_options(void)
{
    return (struct weir_upstreams_options){
        .size = sizeof(struct weir_upstreams_options),
        .seed = 1,
        .changed = ups_changed,
        .check_skipped = ups_skipped,
        .in_use = ups_in_use};
}

void ups_open(const struct weir_upstreams_options *options, int count)
{
    const struct fake_options machine = {.seed = 1};
    const struct weir_upstreams_options own = ups_options();
    memset(&ups, 0, sizeof(ups));
    fake_start(&machine);
    maker_open(&ups.m);
    maker_run_for(&ups.m, 1 * MS);
    expect_eq(
        weir_upstreams_new(ups.m.loop, options ? options : &own, &ups.set), 0);
    ups.start_ns = fake_now();
    ups.start_fds = fake_fd_count();
    for (int i = 0; i < count; i++) {
        ups_add(NULL);
    }
}

void ups_close(void)
{
    weir_upstreams_free(ups.set);
    maker_run_for(&ups.m, 1 * MS);
    expect_eq(fake_fd_count(), ups.start_fds, "nothing is left");
    maker_close(&ups.m);
    fake_stop();
}

void ups_test(void (*body)(void))
{
    body();
    ups_close();
}

weir_upstream *ups_add(const struct weir_upstream_options *options)
{
    char host[32];
    const size_t index = ups.count++;
    const char name[] = {(char)('a' + index), '\0'};
    snprintf(host, sizeof(host), "192.0.2.%zu", index + 1);
    const struct weir_address address = peer_address(host, 80);
    struct weir_upstream_options known = {.size = sizeof(known)};
    if (options) {
        known = *options;
    }
    known.name = name;
    if (!known.endpoint.host) {
        known.endpoint = weir_endpoint_addresses(&address, 1);
    }
    ups.listeners[index] = fake_listen(&address.storage.any, address.len);
    ups_answer(index, FAKE_ACCEPT);
    expect_eq(weir_upstreams_add(ups.set, &known, &ups.all[index]), 0);
    return ups.all[index];
}

void ups_add_limited(uint32_t limit)
{
    ups_add(&(struct weir_upstream_options){
        .size = sizeof(struct weir_upstream_options),
        .connection_limit = limit});
}

void ups_answer(size_t index, enum fake_answer answer)
{
    fake_listener_set(ups.listeners[index], answer, 1 * MS);
}

static int ups_asked_service(void *user, weir_lookup *lookup, const char *name,
                             void **ret_data)
{
    expect_str_eq(name, ups.name);
    ups.asked = lookup;
    ups.asked_count++;
    return 0;
}

static int ups_asked_host(void *user, weir_lookup *lookup, const char *host,
                          int family, void **ret_data)
{
    return ups_asked_service(user, lookup, host, ret_data);
}

static void ups_forget_question(void *user, weir_lookup *lookup, void *data)
{
    expect_eq(lookup, ups.asked);
    ups.asked = NULL;
}

void ups_play_resolver(const char *name)
{
    struct weir_resolver *resolver = &ups.resolver;
    ups.name = name;
    resolver->size = sizeof(*resolver);
    resolver->cancel = ups_forget_question;
    if (resolver->start) {
        resolver->start_srv = ups_asked_service;
    } else {
        resolver->start = ups_asked_host;
    }
    expect_eq(weir_loop_set_resolver(ups.m.loop, resolver, NULL), 0);
}

weir_lookup *ups_take_question(void)
{
    weir_lookup *lookup = ups.asked;
    cr_assert_not_null(lookup);
    ups.asked = NULL;
    return lookup;
}

static void ups_done(void *arg, int err,
                     const struct weir_upstreams_result *result)
{
    expect_lt(ups.end_count, UPS_ENDS);
    expect_eq(result->size, sizeof(*result));
    expect_eq(err == 0, result->transport != NULL);
    expect_eq(err == 0, result->slot != NULL);
    ups.ends[ups.end_count++] = (struct ups_end){
        .err = err,
        .number = (int)(intptr_t)arg,
        .name = result->upstream ? weir_upstream_get_name(result->upstream)[0]
                                 : '-',
        .t = result->transport,
        .slot = result->slot,
        .try_count = result->try_count,
        .queue_ns = result->queue_ns,
        .connect_ns = result->connect_ns,
        .when_ns = fake_now() - ups.start_ns};
    if (err == 0) {
        expect_eq(weir_upstream_slot_get_upstream(result->slot),
                  result->upstream);
    }
}

weir_pending *ups_ask(const struct weir_upstreams_connect_options *options)
{
    weir_pending *pending = NULL;
    const size_t before = ups.end_count;
    expect_eq(weir_upstreams_connect(ups.set, &ups.m.factory, options, ups_done,
                                     (void *)(intptr_t)ups.ask_count++,
                                     &pending),
              0);
    expect_eq(ups.end_count, before, "never from inside the call");
    return pending;
}

static bool ups_has_ended(void *arg)
{
    return ups.end_count >= *(const size_t *)arg ||
           fake_now() - ups.start_ns > 10000000 * MS;
}

void ups_run_until(size_t end_count)
{
    expect_eq(weir_loop_run_until(ups.m.loop, ups_has_ended, &end_count), 0);
    expect_eq(ups.end_count, end_count);
}

struct ups_end *
ups_connect_by(const struct weir_upstreams_connect_options *options)
{
    ups_ask(options);
    ups_run_until(ups.end_count + 1);
    return &ups.ends[ups.end_count - 1];
}

struct ups_end *ups_connect(void)
{
    return ups_connect_by(NULL);
}

void ups_leave(struct ups_end *end, int result)
{
    cr_assert_not_null(end->slot);
    weir_transport_abort(end->t);
    weir_upstream_slot_release(end->slot, result);
    end->slot = NULL;
}

struct weir_upstream_statistics ups_info(size_t index)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_statistics(ups.all[index], &info), 0);
    return info;
}

struct weir_upstreams_statistics ups_set_info(void)
{
    struct weir_upstreams_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstreams_get_statistics(ups.set, &info), 0);
    return info;
}

uint64_t ups_ms(void)
{
    return (fake_now() - ups.start_ns) / MS;
}
