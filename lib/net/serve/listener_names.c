/*
 * The host names of a server, looked up together.
 *
 * Each name is a lookup of its own. When the last lookup has ended, done is
 * called and sees all results.
 */
#include "listener_names.h"

#include <string.h>
#include <weir/error.h>

#define LOOKUP_TIMEOUT_NS UINT64_C(10000000000)

struct listener_name {
    struct wr_list link; /* in wr_listener_names.all */
    struct wr_listener_names *names;
    weir_lookup lookup;
    uint16_t port;
    int family;
    int err; /* of the start */
    char host[WR_NAME_SIZE];
};

static struct listener_name *listener_names_of(struct wr_list *link)
{
    return wr_container_of(link, struct listener_name, link);
}

static void listener_names_changed(weir_lookup *lookup)
{
    struct listener_name *name =
        wr_container_of(lookup, struct listener_name, lookup);
    struct wr_listener_names *names = name->names;

    if (!wr_lookup_has_ended(lookup)) {
        return;
    }
    wr_assert(names->awaited_count > 0);
    names->awaited_count--;
    if (names->awaited_count == 0) {
        names->done(names);
    }
}

void wr_listener_names_init(struct wr_listener_names *names, weir_loop *loop,
                            void (*done)(struct wr_listener_names *names))
{
    wr_assert(done != NULL);
    *names = (struct wr_listener_names){.loop = loop, .done = done};
    wr_list_init(&names->all);
}

int wr_listener_names_add(struct wr_listener_names *names, const char *host,
                          uint16_t port, int family)
{
    wr_assert(!names->was_started);
    int err = wr_lookup_check_name(names->loop, host);
    wr_require(err >= 0, err);
    struct listener_name *name =
        wr_alloc(&names->loop->counting, sizeof(*name));
    wr_require(name, -ENOMEM);
    name->names = names;
    name->port = port;
    name->family = family;
    name->err = 0;
    memcpy(name->host, host, strlen(host) + 1);
    wr_lookup_init(&name->lookup, names->loop, listener_names_changed);
    wr_list_init(&name->link);
    wr_list_push_back(&names->all, &name->link);
    names->count++;
    return 0;
}

void wr_listener_names_start(struct wr_listener_names *names)
{
    wr_assert(!names->was_started);
    wr_assert(names->count > 0);
    names->was_started = true;
    for (struct wr_list *link = names->all.next; link != &names->all;
         link = link->next) {
        struct listener_name *name = listener_names_of(link);
        const struct wr_lookup_question question = {
            .host = name->host,
            .port = name->port,
            .family = name->family,
            .timeout_ns = LOOKUP_TIMEOUT_NS,
        };
        name->err = wr_lookup_start(&name->lookup, &question);
        names->awaited_count += name->err >= 0;
    }
}

void wr_listener_names_cancel(struct wr_listener_names *names)
{
    for (struct wr_list *link = names->all.next; link != &names->all;
         link = link->next) {
        wr_lookup_cancel(&listener_names_of(link)->lookup);
    }
    names->awaited_count = 0;
}

int wr_listener_names_get_result(const struct wr_listener_names *names,
                                 const char **ret_host)
{
    size_t count = 0;

    wr_assert(names->awaited_count == 0);
    for (struct wr_list *link = names->all.next; link != &names->all;
         link = link->next) {
        const struct listener_name *name = listener_names_of(link);
        const int err =
            name->err < 0 ? name->err : wr_lookup_get_result(&name->lookup);
        if (err < 0) {
            *ret_host = name->host;
            return err;
        }
        count += name->lookup.count;
    }
    wr_assert(count <= INT32_MAX);
    return (int)count;
}

int wr_listener_names_each(const struct wr_listener_names *names,
                           int (*add)(void *arg, const struct weir_address *),
                           void *arg)
{
    int err = 0;

    for (struct wr_list *link = names->all.next; link != &names->all;
         link = link->next) {
        const weir_lookup *lookup = &listener_names_of(link)->lookup;
        for (size_t i = 0; i < lookup->count && err >= 0; i++) {
            err = add(arg, &lookup->addresses[i]);
        }
    }
    return err;
}

void wr_listener_names_fini(struct wr_listener_names *names)
{
    struct wr_list *link;

    wr_assert(names->awaited_count == 0);
    while ((link = wr_list_pop_front(&names->all))) {
        struct listener_name *name = listener_names_of(link);
        wr_lookup_fini(&name->lookup);
        wr_free(&names->loop->counting, name, sizeof(*name));
    }
    names->count = 0;
}
