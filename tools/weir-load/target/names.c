/*
 * Looks up the names of the targets, all at the same time. Each failed name is
 * printed with its error. A failure ends the program before it connects to any
 * target.
 */
#include "target.h"

#include "tools/common/console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weir/error.h>
#include <weir/resolver.h>

struct search {
    size_t waiting;
    int err;
};

struct request {
    struct search *search;
    struct target *target;
};

static void complain(struct request *request, int err)
{
    say("%s: %s (%s)", request->target->text, weir_strerror(err),
        weir_err_name(err));
    request->search->err = err;
}

static void found(void *arg, int err, const struct weir_address *addresses,
                  size_t count)
{
    struct request *request = arg;
    struct target *target = request->target;

    request->search->waiting--;
    if (err >= 0) {
        target->addresses = calloc(count, sizeof(*addresses));
        err = target->addresses ? 0 : -ENOMEM;
    }
    if (err < 0) {
        complain(request, err);
        return;
    }
    memcpy(target->addresses, addresses, count * sizeof(*addresses));
    target->address_count = count;
}

static bool is_over(void *search)
{
    return ((struct search *)search)->waiting == 0;
}

int names_find(weir_loop *loop, struct target *targets, size_t count,
               int family)
{
    struct search search = {.waiting = 0};
    struct request *requests = calloc(count, sizeof(*requests));

    if (!requests) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        requests[i] = (struct request){&search, &targets[i]};
        if (targets[i].address.len > 0) {
            continue;
        }
        const struct weir_getaddrinfo_options options = {
            .size = sizeof(options), .family = family};
        int err = weir_resolve_start(loop, targets[i].host, targets[i].port,
                                     &options, found, &requests[i], NULL);
        if (err < 0) {
            complain(&requests[i], err);
        } else {
            search.waiting++;
        }
    }
    int err = weir_loop_run_until(loop, is_over, &search);
    free(requests);
    return err < 0 ? err : search.err;
}

void names_forget(struct target *targets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(targets[i].addresses);
        targets[i].addresses = NULL;
        targets[i].address_count = 0;
    }
}
