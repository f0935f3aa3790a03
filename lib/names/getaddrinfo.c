/*
 * getaddrinfo and getnameinfo: lookups for a task, or with a callback.
 * A lookup with a callback is a request, which the program may cancel. A task
 * waits for its lookup with struct wr_lookups.
 */
#include "lib/base/options.h"
#include "lib/loop/pending.h"
#include "lib/task/task.h"
#include "lookups.h"
#include "system_file.h"

#include <string.h>
#include <weir/error.h>

WEIR_MUST_USE static int
getaddrinfo_check(const char *host, uint16_t port,
                  const struct weir_getaddrinfo_options *known)
{
    wr_require(known->family == AF_UNSPEC || known->family == AF_INET ||
                   known->family == AF_INET6,
               -EINVAL);
    wr_require(known->family == AF_INET6 ||
                   (!known->map_ipv4 && !known->map_all),
               -EINVAL);
    wr_require(!known->canonical_name ||
                   (host && known->canonical_name_size >= WEIR_HOST_SIZE),
               -EINVAL);
    wr_require(!known->service || port == 0, -EINVAL);
    return 0;
}

static int getaddrinfo_read(weir_loop *loop, const char *host, uint16_t port,
                            const struct weir_getaddrinfo_options *options,
                            struct weir_getaddrinfo_options *known,
                            struct wr_lookup_question *ret)
{
    int err = wr_options_read(known, sizeof(*known), options);
    wr_require(err >= 0, err);
    err = getaddrinfo_check(host, port, known);
    wr_require(err >= 0, err);
    if (known->service) {
        err = wr_service_find(&loop->counting,
                              known->numeric_service ? NULL : WR_SERVICES_PATH,
                              known->service, &port);
        wr_require(err >= 0, err);
    }
    *ret = (struct wr_lookup_question){
        .host = host,
        .port = port,
        .family = known->family,
        .passive = known->passive,
        .numeric_host = known->numeric_host,
        .configured_only = known->configured_only,
        .map_ipv4 = known->map_ipv4 || known->map_all,
        .map_all = known->map_all,
        .canonical = known->canonical_name,
        .timeout_ns =
            known->timeout_ns > 0 ? known->timeout_ns : WR_LOOKUP_TIMEOUT_NS,
    };
    return 0;
}

int weir_getaddrinfo(weir_loop *loop, const char *host, uint16_t port,
                     const struct weir_getaddrinfo_options *options,
                     struct weir_address *ret, size_t capacity)
{
    struct weir_getaddrinfo_options known;
    struct wr_lookup_question question;
    struct wr_lookups lookups;
    const weir_lookup *lookup;

    int err = wr_task_enter(loop);
    wr_require(err >= 0, err);
    wr_require(ret || capacity == 0, -EINVAL);
    err = getaddrinfo_read(loop, host, port, options, &known, &question);
    wr_require(err >= 0, err);
    wr_lookups_init(&lookups, loop);
    err = wr_lookups_ask(&lookups, &question, &lookup);
    if (err >= 0) {
        err = wr_lookups_await(&lookups, &lookup);
    }
    if (err >= 0) {
        wr_assert(lookup->count > 0);
        if (capacity > 0) {
            memcpy(ret, lookup->addresses,
                   wr_min_u64(lookup->count, capacity) * sizeof(*ret));
        }
        err = (int)lookup->count;
    }
    wr_lookups_fini(&lookups);
    return err;
}

/* Returns 1 if the address has a name, 0 if not, or an error. */
static int getaddrinfo_find_name(weir_loop *loop,
                                 const struct weir_address *address,
                                 const struct weir_getnameinfo_options *options,
                                 char ret[WEIR_HOST_SIZE])
{
    struct wr_lookups lookups;
    const weir_lookup *lookup;

    _Static_assert(sizeof(lookup->host) <= WEIR_HOST_SIZE, "a name fits");
    wr_lookups_init(&lookups, loop);
    int err = wr_lookups_ask_reverse(
        &lookups, address,
        options->timeout_ns > 0 ? options->timeout_ns : WR_LOOKUP_TIMEOUT_NS,
        &lookup);
    if (err >= 0) {
        err = wr_lookups_await(&lookups, &lookup);
    }
    if (err >= 0) {
        memcpy(ret, lookup->host, strlen(lookup->host) + 1);
    }
    wr_lookups_fini(&lookups);
    if (err < 0 && err != -ECANCELED && !options->name_required) {
        return 0;
    }
    return err < 0 ? err : 1;
}

int weir_getnameinfo(weir_loop *loop, const struct weir_address *address,
                     const struct weir_getnameinfo_options *options,
                     struct weir_nameinfo *ret)
{
    struct weir_getnameinfo_options known;
    struct weir_nameinfo info;
    int named = 0;

    int err = wr_task_enter(loop);
    wr_require(err >= 0, err);
    err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    wr_require(address, -EINVAL);
    wr_require(!known.numeric_host || !known.name_required, -EINVAL);
    const struct weir_address own = *address;
    wr_require(own.len > 0, -EINVAL);
    wr_require(own.storage.any.sa_family == AF_INET ||
                   own.storage.any.sa_family == AF_INET6,
               -EAFNOSUPPORT);
    wr_require(wr_address_is_valid(&own), -EINVAL);
    if (!known.numeric_host) {
        named = getaddrinfo_find_name(loop, &own, &known, info.host);
        wr_require(named >= 0, named);
    }
    if (named == 0) {
        wr_lookup_write_address(&own, info.host);
    }
    wr_service_write(
        &loop->counting, known.numeric_service ? NULL : WR_SERVICES_PATH,
        wr_address_port(&own), known.datagram ? "udp" : "tcp", info.service);
    wr_answer_write(ret, &info, sizeof(info));
    return 0;
}

/* ---- with a callback ---- */

struct lookup_request {
    struct weir_pending pending;
    weir_lookup lookup;
    struct wr_member member;
    struct wr_ready cancelled;
    weir_resolve_done_fn *done;
    void *arg;
};

static void getaddrinfo_finish(struct lookup_request *request, int err)
{
    weir_loop *loop = request->lookup.loop;

    wr_assert(request->done != NULL);
    wr_assert(wr_lookup_has_ended(&request->lookup));
    wr_assert(!wr_ready_is_pending(&request->cancelled));
    if (err >= 0) {
        wr_lookup_map(&request->lookup);
    }
    request->done(request->arg, err, err < 0 ? NULL : request->lookup.addresses,
                  err < 0 ? 0 : request->lookup.count);
    wr_loop_end_if_forked(loop);
    wr_loop_remove_member(loop, &request->member);
    wr_lookup_fini(&request->lookup);
    wr_free(&loop->counting, request, sizeof(*request));
}

static void getaddrinfo_changed(weir_lookup *lookup)
{
    if (wr_lookup_has_ended(lookup)) {
        getaddrinfo_finish(
            wr_container_of(lookup, struct lookup_request, lookup),
            wr_lookup_get_result(lookup));
    }
}

static void getaddrinfo_tell_cancelled(struct wr_ready *ready)
{
    getaddrinfo_finish(wr_container_of(ready, struct lookup_request, cancelled),
                       -ECANCELED);
}

static void getaddrinfo_give_up(struct lookup_request *request)
{
    weir_lookup *lookup = &request->lookup;

    wr_assert(request->done != NULL);
    if (!wr_lookup_has_ended(lookup)) {
        wr_lookup_cancel(lookup);
        wr_ready_push(&lookup->loop->ready, &request->cancelled);
    }
}

static void getaddrinfo_cancel(struct weir_pending *pending)
{
    getaddrinfo_give_up(
        wr_container_of(pending, struct lookup_request, pending));
}

static void getaddrinfo_shutdown_alive(struct wr_member *member)
{
    struct lookup_request *request =
        wr_container_of(member, struct lookup_request, member);

    wr_assert(wr_loop_is_closing(request->lookup.loop));
    getaddrinfo_give_up(request);
}

static void getaddrinfo_dump_alive(const struct wr_member *member, FILE *out)
{
    const struct lookup_request *request =
        wr_container_of(member, struct lookup_request, member);

    fprintf(out, "lookup host=%s addresses=%zu open=%u\n", request->lookup.host,
            request->lookup.count, request->lookup.open);
}

static void getaddrinfo_check_alive(const struct wr_member *member)
{
    const struct lookup_request *request =
        wr_container_of(member, struct lookup_request, member);

    wr_lookup_check_invariants(&request->lookup);
}

static const struct wr_member_ops getaddrinfo_member_ops = {
    .stage = WR_STAGE_MAKERS,
    .shutdown = getaddrinfo_shutdown_alive,
    .dump = getaddrinfo_dump_alive,
    .check = getaddrinfo_check_alive};

int weir_resolve_start(weir_loop *loop, const char *host, uint16_t port,
                       const struct weir_getaddrinfo_options *options,
                       weir_resolve_done_fn *done, void *done_arg,
                       weir_pending **ret)
{
    struct weir_getaddrinfo_options known;
    struct wr_lookup_question question;

    wr_require_loop(loop);
    int err = getaddrinfo_read(loop, host, port, options, &known, &question);
    wr_require(err >= 0, err);
    wr_require(done, -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct lookup_request *request =
        wr_alloc(&loop->counting, sizeof(*request));
    wr_require(request, -ENOMEM);
    wr_lookup_init(&request->lookup, loop, getaddrinfo_changed);
    err = wr_lookup_start(&request->lookup, &question);
    if (err < 0) {
        wr_free(&loop->counting, request, sizeof(*request));
        return err;
    }
    request->pending = (struct weir_pending){loop, getaddrinfo_cancel, NULL};
    request->done = done;
    request->arg = done_arg;
    wr_ready_init(&request->cancelled, getaddrinfo_tell_cancelled);
    wr_member_init(&request->member, &getaddrinfo_member_ops);
    wr_loop_add_member(loop, &request->member);
    if (ret) {
        *ret = &request->pending;
    }
    return 0;
}
