/*
 * Tables of callbacks, and factories that bind each connection to the same
 * protocol.
 *
 * A factory's result is kept for the whole test, because the loop calls the
 * factory after the function that requested it has returned.
 */
#ifndef WEIR_TESTS_BIND_H
#define WEIR_TESTS_BIND_H

#include "expect.h"
#include "pages.h"

#include <weir/protocol.h>

/* Returns the address of a struct whose first field is its size. */
#define SIZED(type, ...)                                                       \
    (&(const struct type){.size = sizeof(struct type), __VA_ARGS__})

/* Defines a table: CALLBACKS(echo, STREAM, .data_received = write_back); */
#define CALLBACKS(name, its_kind, ...)                                         \
    const struct weir_protocol name = {                                        \
        .size = sizeof(name), .kind = WEIR_PROTOCOL_##its_kind, __VA_ARGS__}

enum { BIND_MAX = 8192 };

static inline int bind_answer(void *arg, weir_transport *t,
                              struct weir_protocol_binding *ret)
{
    *ret = *(struct weir_protocol_binding *)arg;
    return 0;
}

static inline struct weir_factory bind_to(const struct weir_protocol *protocol,
                                          void *user)
{
    static struct weir_protocol_binding *answers;
    static size_t count;
    size_t i = 0;

    if (!answers) {
        answers = test_pages(BIND_MAX * sizeof(*answers));
    }
    while (i < count &&
           (answers[i].protocol != protocol || answers[i].user != user)) {
        i++;
    }
    if (i == count) {
        expect_lt(count, BIND_MAX);
        answers[count++] =
            (struct weir_protocol_binding){.protocol = protocol, .user = user};
    }
    return (struct weir_factory){.create = bind_answer, .arg = &answers[i]};
}

#endif
