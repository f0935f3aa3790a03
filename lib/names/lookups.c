/*
 * Lookups that a task waits for together, for example of a server's names. They
 * run concurrently, and the end of the last one wakes the task. A lookup may
 * end before the task waits.
 */
#include "lookups.h"

struct lookups_name {
    struct wr_list link;
    struct wr_lookups *lookups;
    weir_lookup lookup;
};

static struct lookups_name *lookups_get_name(struct wr_list *link)
{
    return wr_container_of(link, struct lookups_name, link);
}

static void lookups_changed(weir_lookup *lookup)
{
    struct lookups_name *name =
        wr_container_of(lookup, struct lookups_name, lookup);
    struct wr_lookups *lookups = name->lookups;

    if (!wr_lookup_has_ended(lookup)) {
        return;
    }
    wr_assert(lookups->open_count > 0);
    lookups->open_count--;
    if (lookups->open_count == 0 && lookups->waiter.task) {
        wr_waiter_wake(&lookups->waiter, 0);
    }
}

void wr_lookups_init(struct wr_lookups *lookups, weir_loop *loop)
{
    *lookups = (struct wr_lookups){.loop = loop};
    wr_list_init(&lookups->all);
}

static struct lookups_name *lookups_make(struct wr_lookups *lookups)
{
    struct lookups_name *name =
        wr_alloc(&lookups->loop->counting, sizeof(*name));

    wr_assert(!lookups->waiter.task);
    if (name) {
        name->lookups = lookups;
        wr_list_init(&name->link);
        wr_lookup_init(&name->lookup, lookups->loop, lookups_changed);
    }
    return name;
}

static int lookups_keep(struct wr_lookups *lookups, struct lookups_name *name,
                        int err, const weir_lookup **ret)
{
    if (err < 0) {
        wr_free(&lookups->loop->counting, name, sizeof(*name));
        return err;
    }
    wr_list_push_back(&lookups->all, &name->link);
    lookups->open_count++;
    *ret = &name->lookup;
    return 0;
}

int wr_lookups_ask(struct wr_lookups *lookups,
                   const struct wr_lookup_question *question,
                   const weir_lookup **ret)
{
    struct lookups_name *name = lookups_make(lookups);

    wr_require(name, -ENOMEM);
    return lookups_keep(lookups, name, wr_lookup_start(&name->lookup, question),
                        ret);
}

int wr_lookups_ask_reverse(struct wr_lookups *lookups,
                           const struct weir_address *address,
                           uint64_t timeout_ns, const weir_lookup **ret)
{
    struct lookups_name *name = lookups_make(lookups);

    wr_require(name, -ENOMEM);
    return lookups_keep(
        lookups, name,
        wr_lookup_start_reverse(&name->lookup, address, timeout_ns), ret);
}

int wr_lookups_ask_srv(struct wr_lookups *lookups, const char *name,
                       uint64_t timeout_ns, const weir_lookup **ret)
{
    struct lookups_name *one = lookups_make(lookups);

    wr_require(one, -ENOMEM);
    wr_lookup_start_srv(&one->lookup, name, timeout_ns);
    return lookups_keep(lookups, one, 0, ret);
}

int wr_lookups_add(struct wr_lookups *lookups, const char *host, uint16_t port,
                   int family, const weir_lookup **ret)
{
    const struct wr_lookup_question question = {.host = host,
                                                .port = port,
                                                .family = family,
                                                .timeout_ns =
                                                    WR_LOOKUP_TIMEOUT_NS};

    wr_assert(host != NULL);
    return wr_lookups_ask(lookups, &question, ret);
}

void wr_lookups_cancel(struct wr_lookups *lookups)
{
    for (struct wr_list *link = lookups->all.next; link != &lookups->all;
         link = link->next) {
        wr_lookup_cancel(&lookups_get_name(link)->lookup);
    }
    lookups->open_count = 0;
}

static void lookups_interrupt(struct wr_waiter *waiter)
{
    struct wr_lookups *lookups =
        wr_container_of(waiter, struct wr_lookups, waiter);

    wr_lookups_cancel(lookups);
    /* The resolver's cancel() may have interrupted the task again. */
    if (waiter->task->waiter == waiter) {
        wr_waiter_wake(waiter, -ECANCELED);
    }
}

int wr_lookups_await(struct wr_lookups *lookups, const weir_lookup **ret_failed)
{
    static const struct wr_wait_kind kind = {.name = "name lookup",
                                             .interrupt = lookups_interrupt};
    int err = 0;

    wr_assert(!lookups->waiter.kind);
    wr_assert(lookups->loop->current != NULL);
    lookups->waiter.kind = &kind;
    if (lookups->open_count > 0) {
        err = wr_task_wait(lookups->loop, &lookups->waiter, NULL);
        lookups->waiter.task = NULL;
    }
    wr_assert(lookups->open_count == 0);
    for (struct wr_list *link = lookups->all.next;
         err == 0 && link != &lookups->all; link = link->next) {
        weir_lookup *lookup = &lookups_get_name(link)->lookup;
        err = wr_lookup_get_result(lookup);
        *ret_failed = lookup;
        if (err == 0) {
            wr_lookup_map(lookup);
        }
    }
    return err;
}

const weir_lookup *wr_lookups_get_next(const struct wr_lookups *lookups,
                                       const weir_lookup *lookup)
{
    const struct wr_list *link =
        lookup ? wr_container_of(lookup, const struct lookups_name, lookup)
                     ->link.next
               : lookups->all.next;

    wr_assert(link != NULL);
    return link == &lookups->all
               ? NULL
               : &wr_container_of(link, const struct lookups_name, link)
                      ->lookup;
}

void wr_lookups_fini(struct wr_lookups *lookups)
{
    struct wr_list *link;

    wr_assert(!lookups->waiter.task);
    wr_lookups_cancel(lookups);
    while ((link = wr_list_pop_front(&lookups->all))) {
        struct lookups_name *name = lookups_get_name(link);
        wr_lookup_fini(&name->lookup);
        wr_free(&lookups->loop->counting, name, sizeof(*name));
    }
}
