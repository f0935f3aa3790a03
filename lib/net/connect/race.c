/*
 * A race to a connected socket. eyeballs.c decides the next step; the task
 * takes this step and waits for the next event: an answer of the lookup, the
 * end of an attempt, or the timer. The first attempt that succeeds ends the
 * race. If another attempt has succeeded at the same moment, its socket is
 * closed when the attempt completes.
 */
#include "race.h"

#include "lib/base/address.h"
#include "lib/names/lookup.h"
#include "lib/task/task.h"
#include "lib/transport/socket.h"

#include <string.h>

struct race_name {
    weir_lookup lookup;
    struct wr_race *race;
    struct wr_lookup_question question;
    unsigned taken; /* bits of the parts whose addresses are candidates */
    char host[WR_NAME_SIZE];
};

void wr_race_check_invariants(const struct wr_race *race)
{
    /* Checked only with -Dinvariants=true, because eyeballs.c checks it. */
    wr_debug_check(wr_eyeballs_check_invariants(&race->eyeballs));
    wr_assert(race->eyeballs.count <= race->capacity);
    wr_assert(race->fd < 0 || race->is_over || race->eyeballs.count == 0);
}

static void race_free_runner(struct wr_race *race, struct wr_runner *runner)
{
    wr_assert(!wr_attempt_is_under_way(&runner->attempt));
    if (runner != &race->first) {
        wr_guard_free(&race->loop->counting, runner, sizeof(*runner));
    }
}

/* Called when an attempt has failed; @own is its local address. */
static void race_fail(struct wr_race *race, size_t index, int err,
                      const struct weir_address *own)
{
    wr_assert(index < race->eyeballs.count);
    race->eyeballs.candidates[index].own = *own;
    wr_eyeballs_fail(&race->eyeballs, index, err, race->loop->now_ns);
}

void wr_race_leave(struct wr_race *race, int cause)
{
    wr_assert(cause <= 0);
    if (race->is_over) {
        return;
    }
    race->is_over = true;
    if (race->name) {
        if (cause < 0 && !wr_lookup_has_ended(&race->name->lookup)) {
            race->lookup_err = cause;
        }
        wr_lookup_cancel(&race->name->lookup);
    }
    for (struct wr_list *link = race->runners.next; link != &race->runners;
         link = link->next) {
        struct wr_runner *runner =
            wr_container_of(link, struct wr_runner, link);
        if (cause < 0) {
            struct weir_address own = {.len = 0};
            wr_ignore(wr_socket_ask_sockname(runner->attempt.fd, &own));
            race_fail(race, runner->index, cause, &own);
        }
        wr_attempt_give_up(&runner->attempt, -ECANCELED);
    }
}

static void race_runner_ended(struct wr_attempt *attempt, int err)
{
    struct wr_runner *runner =
        wr_container_of(attempt, struct wr_runner, attempt);
    struct wr_race *race = runner->race;
    const int fd = attempt->fd;

    wr_race_check_invariants(race);
    wr_assert((err < 0) == (fd < 0));
    wr_assert(err < 0 || !race->is_over); /* the end gives attempts up */
    attempt->fd = -1;
    wr_list_remove(&runner->link);
    if (err == 0) {
        race->fd = fd;
        race->family = attempt->address.storage.any.sa_family;
        wr_race_leave(race, 0);
    } else if (!race->is_over) {
        race_fail(race, runner->index, err, &attempt->own);
    }
    race_free_runner(race, runner);
    if (!wr_waiters_wake_first(&race->waiters, 0)) {
        race->rested(race);
    }
}

/* An error of the start is stored in the candidate. */
static int race_try(struct wr_race *race, size_t index)
{
    const uint64_t now_ns = race->loop->now_ns;
    struct wr_runner *runner =
        wr_attempt_is_under_way(&race->first.attempt)
            ? wr_guard_alloc(&race->loop->counting, sizeof(*runner))
            : &race->first;
    struct wr_attempt_options options = race->options.attempt;
    int err = -ENOMEM;

    /* With fast open an attempt succeeds before the server has responded, and
     * would win against all others. */
    options.fast_open &= wr_eyeballs_is_single(&race->eyeballs);

    wr_eyeballs_try(&race->eyeballs, index, now_ns);
    if (runner) {
        wr_attempt_init(&runner->attempt, race->loop, race_runner_ended);
        err = wr_attempt_start(&runner->attempt,
                               &race->eyeballs.candidates[index].address,
                               &options);
        if (err >= 0) {
            runner->race = race;
            runner->index = index;
            wr_list_init(&runner->link);
            wr_list_push_back(&race->runners, &runner->link);
            return 0;
        }
        race_free_runner(race, runner);
    }
    race_fail(race, index, err, options.local);
    return err;
}

int wr_race_try_only(struct wr_race *race)
{
    uint64_t when_ns;
    size_t index = 0;
    const enum wr_eyeballs_step step =
        wr_eyeballs_next(&race->eyeballs, race->loop->now_ns, &index, &when_ns);

    wr_assert(wr_eyeballs_is_single(&race->eyeballs));
    wr_assert(step == WR_EYEBALLS_TRY);
    return race_try(race, index);
}

WEIR_MUST_USE static int race_make_room(struct wr_race *race, size_t more)
{
    const struct weir_allocator *allocator = &race->loop->counting;
    struct wr_eyeballs *eyeballs = &race->eyeballs;
    const size_t size = race->capacity * sizeof(*eyeballs->candidates);
    const size_t more_size = more * sizeof(*eyeballs->candidates);

    wr_assert(eyeballs->count == race->capacity);
    struct wr_candidate *candidates = wr_alloc(allocator, size + more_size);
    wr_require(candidates, -ENOMEM);
    if (size > 0) {
        memcpy(candidates, eyeballs->candidates, size);
        wr_free(allocator, eyeballs->candidates, size);
    }
    eyeballs->candidates = candidates;
    race->capacity += more;
    return 0;
}

static void race_take_part(struct wr_race *race, enum wr_lookup_part part)
{
    const weir_lookup *lookup = &race->name->lookup;
    const bool is_inet6 = part == WR_LOOKUP_INET6;
    const size_t start = is_inet6 ? 0 : lookup->inet6_count;
    const size_t end = is_inet6 ? lookup->inet6_count : lookup->count;

    wr_assert(!(race->name->taken & (1u << part)));
    race->name->taken |= 1u << part;
    if (start < end && race_make_room(race, end - start) < 0) {
        race->lookup_err = -ENOMEM;
    } else {
        for (size_t i = start; i < end; i++) {
            wr_eyeballs_add(&race->eyeballs, &lookup->addresses[i]);
        }
    }
    wr_eyeballs_close(&race->eyeballs, is_inet6 ? AF_INET6 : AF_INET);
}

static void race_take_answers(struct wr_race *race)
{
    struct race_name *name = race->name;
    const weir_lookup *lookup = &name->lookup;

    for (enum wr_lookup_part part = WR_LOOKUP_INET6; part <= WR_LOOKUP_INET;
         part++) {
        const unsigned bit = 1u << part;
        if (lookup->asked & ~lookup->open & ~name->taken & bit) {
            race_take_part(race, part);
        }
    }
    if (wr_lookup_has_ended(lookup) && race->lookup_err == 0) {
        race->lookup_err = wr_lookup_get_result(lookup);
    }
}

static void race_name_changed(weir_lookup *lookup)
{
    const struct race_name *name =
        wr_container_of(lookup, struct race_name, lookup);

    wr_assert(!name->race->is_over);
    wr_ignore(wr_waiters_wake_first(&name->race->waiters, 0));
}

int wr_race_add_name(struct wr_race *race, const char *host, uint16_t port,
                     int family)
{
    wr_assert(!race->is_over);
    wr_assert(!race->name);
    wr_assert(strlen(host) < WR_NAME_SIZE);
    struct race_name *name = wr_alloc(&race->loop->counting, sizeof(*name));
    wr_require(name, -ENOMEM);
    wr_lookup_init(&name->lookup, race->loop, race_name_changed);
    name->race = race;
    name->taken = 0;
    memcpy(name->host, host, strlen(host) + 1);
    name->question = (struct wr_lookup_question){
        .host = name->host,
        .port = port,
        .family = family,
        .timeout_ns = race->options.lookup_timeout_ns,
    };
    race->name = name;
    if (family != AF_INET) {
        wr_eyeballs_await(&race->eyeballs, AF_INET6);
    }
    if (family != AF_INET6) {
        wr_eyeballs_await(&race->eyeballs, AF_INET);
    }
    return 0;
}

static void race_timer_expired(struct wr_timer *timer)
{
    struct wr_race *race = wr_container_of(timer, struct wr_race, timer);

    wr_ignore(wr_waiters_wake_first(&race->waiters, 0));
}

/* Waits for an event or until @when_ns. Returns 0 or -ECANCELED. */
static int race_await(struct wr_race *race, uint64_t when_ns)
{
    static const struct wr_wait_kind kind = {.name = "connect"};
    struct wr_waiter waiter = {.kind = &kind};
    weir_loop *loop = race->loop;

    if (when_ns != UINT64_MAX) {
        wr_timer_arm(&loop->wheel, &race->timer, when_ns);
    }
    const int err = wr_task_wait(loop, &waiter, &race->waiters);
    wr_timer_cancel(&loop->wheel, &race->timer);
    return err;
}

int wr_race_get_error(const struct wr_race *race)
{
    const int err = wr_eyeballs_get_error(&race->eyeballs);

    wr_assert(err < 0 || race->lookup_err < 0);
    return err < 0 ? err : race->lookup_err;
}

static int race_go_on(struct wr_race *race)
{
    uint64_t when_ns;
    size_t index;
    enum wr_eyeballs_step step;

    if (race->name) {
        race_take_answers(race);
    }
    while ((step = wr_eyeballs_next(&race->eyeballs, race->loop->now_ns, &index,
                                    &when_ns)) == WR_EYEBALLS_TRY) {
        wr_ignore(race_try(race, index));
    }
    return step == WR_EYEBALLS_FAILED ? wr_race_get_error(race)
                                      : race_await(race, when_ns);
}

int wr_race_run(struct wr_race *race)
{
    int err = wr_task_enter(race->loop);

    if (err == 0 && race->name) {
        err = wr_lookup_start(&race->name->lookup, &race->name->question);
        race->lookup_err = err;
    }
    while (err == 0 && race->fd < 0) {
        err = race_go_on(race);
        if (err == 0) {
            err = wr_task_enter(race->loop); /* fails if given up */
        }
    }
    wr_race_check_invariants(race);
    return err;
}

void wr_race_init(struct wr_race *race, weir_loop *loop,
                  void (*rested)(struct wr_race *race),
                  const struct wr_race_options *options,
                  struct wr_candidate *candidates, size_t capacity)
{
    race->loop = loop;
    race->rested = rested;
    race->fd = -1;
    race->options = *options;
    race->capacity = capacity;
    wr_eyeballs_init(&race->eyeballs, &options->eyeballs, candidates);
    wr_timer_init(&race->timer, race_timer_expired);
    wr_list_init(&race->waiters);
    wr_list_init(&race->runners);
    wr_attempt_init(&race->first.attempt, loop, race_runner_ended);
    wr_race_check_invariants(race);
}

void wr_race_fini(struct wr_race *race)
{
    const struct weir_allocator *allocator = &race->loop->counting;

    wr_race_check_invariants(race);
    wr_assert(wr_race_is_quiet(race));
    wr_assert(!wr_timer_is_armed(&race->timer));
    if (race->name) {
        wr_lookup_fini(&race->name->lookup);
        wr_free(allocator, race->name, sizeof(*race->name));
    }
    if (race->name && race->capacity > 0) {
        wr_free(allocator, race->eyeballs.candidates,
                race->capacity * sizeof(*race->eyeballs.candidates));
    }
}

void wr_race_abandon(struct wr_race *race)
{
    struct wr_list *link = race->runners.next;

    /* Counted first, because the owner frees the race when its last attempt
     * ends. */
    for (size_t left = wr_list_count(&race->runners); left > 0; left--) {
        struct wr_runner *runner =
            wr_container_of(link, struct wr_runner, link);
        link = link->next;
        wr_attempt_abandon(&runner->attempt);
    }
}

/* A transport without an error was aborted because of @err. */
static void race_append_error(const weir_transport *broken, int err, char *buf,
                              size_t size)
{
    const size_t len = strlen(buf);
    const bool is_ours = weir_transport_get_error(broken) == 0;
    char text[256];

    wr_assert(len < size);
    wr_assert(err < 0);
    weir_transport_get_error_text(broken, text, sizeof(text));
    wr_ignore(snprintf(buf + len, size - len, "%s%s%s%s", len > 0 ? "; " : "",
                       text, is_ours ? ": " : "",
                       is_ours ? weir_strerror(err) : "") < 0);
}

static void race_describe(const struct wr_candidate *candidate,
                          struct weir_attempt *ret)
{
    wr_assert(candidate->err <= 0);
    wr_assert(candidate->state != WR_CANDIDATE_UNTRIED);
    ret->address = candidate->address;
    ret->own_address = candidate->own;
    ret->err = candidate->err;
    if (candidate->err < 0) {
        wr_socket_find_own(&candidate->address, &ret->own_address);
    }
}

int wr_race_get_attempt(const struct wr_race *race, size_t index,
                        struct weir_attempt *ret)
{
    const struct wr_candidate *candidate =
        wr_eyeballs_find_tried(&race->eyeballs, index);

    wr_require(candidate, -EINVAL);
    race_describe(candidate, ret);
    return 0;
}

static void race_append_failed(const struct wr_candidate *candidate, char *buf,
                               size_t size)
{
    const size_t len = strlen(buf);
    struct weir_attempt attempt;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    char own[WEIR_ADDRESS_TEXT_SIZE];

    wr_assert(candidate->err < 0 && len < size);
    race_describe(candidate, &attempt);
    const bool has_own = attempt.own_address.len > 0;
    weir_address_format(&attempt.address, text, sizeof(text));
    weir_address_format(&attempt.own_address, own, sizeof(own));
    wr_ignore(snprintf(buf + len, size - len, "%s%s: %s%s%s%s",
                       len > 0 ? "; " : "", text, weir_strerror(attempt.err),
                       has_own ? " (from " : "", has_own ? own : "",
                       has_own ? ")" : "") < 0);
}

static void race_append_lookup(const struct wr_race *race, char *buf,
                               size_t size)
{
    const size_t len = strlen(buf);

    wr_assert(race->lookup_err < 0 && len < size);
    wr_ignore(snprintf(buf + len, size - len, "%s%s: %s", len > 0 ? "; " : "",
                       race->name->host, weir_strerror(race->lookup_err)) < 0);
}

static const struct wr_candidate *race_find_failed(const struct wr_race *race,
                                                   int err)
{
    const struct wr_eyeballs *eyeballs = &race->eyeballs;

    wr_assert(err < 0);
    for (size_t i = 0; i < eyeballs->count; i++) {
        if (eyeballs->candidates[i].err == err) {
            return &eyeballs->candidates[i];
        }
    }
    return NULL;
}

void wr_race_write_errors(const struct wr_race *race,
                          const weir_transport *broken, int err, char *buf,
                          size_t size)
{
    const struct wr_eyeballs *eyeballs = &race->eyeballs;
    const struct wr_candidate *first =
        broken || err >= 0 ? NULL : race_find_failed(race, err);
    const bool lookup_is_first =
        !broken && !first && race->lookup_err < 0 && race->lookup_err == err;

    if (size == 0) {
        return;
    }
    buf[0] = '\0';
    if (broken) {
        race_append_error(broken, err, buf, size);
    } else if (first) {
        race_append_failed(first, buf, size);
    } else if (lookup_is_first) {
        race_append_lookup(race, buf, size);
    }
    for (size_t i = 0; i < eyeballs->count; i++) {
        const struct wr_candidate *candidate = &eyeballs->candidates[i];
        if (candidate != first && candidate->err < 0) {
            race_append_failed(candidate, buf, size);
        }
    }
    if (race->lookup_err < 0 && !lookup_is_first) {
        race_append_lookup(race, buf, size);
    }
}

static void race_dump_peer(const struct weir_address *address, int fd,
                           FILE *out)
{
    char text[WEIR_ADDRESS_TEXT_SIZE];

    fprintf(out, " peer=%s fd=%d",
            weir_address_format(address, text, sizeof(text)), fd);
}

void wr_race_dump(const struct wr_race *race, FILE *out)
{
    const struct wr_eyeballs *eyeballs = &race->eyeballs;

    if (race->name) {
        fprintf(out, " host=%s", race->name->host);
    }
    if (wr_race_is_quiet(race) && eyeballs->count > 0) {
        race_dump_peer(&eyeballs->candidates[0].address, -1, out);
    }
    for (struct wr_list *link = race->runners.next; link != &race->runners;
         link = link->next) {
        const struct wr_runner *runner =
            wr_container_of(link, struct wr_runner, link);
        race_dump_peer(&runner->attempt.address, runner->attempt.fd, out);
    }
    fprintf(out, " candidates=%zu untried=%zu", eyeballs->count,
            eyeballs->untried_count);
}
