/*
 * libFuzzer's entry to the choice of weir-proxy's routes by first bytes:
 * made-up routes and a client's bytes, one more each time. A choice stays what
 * it is with more bytes, is the one of all bytes together, and no more than the
 * longest begin is waited for.
 *
 *     ninja tests/fuzz/fuzz-matching
 *     tests/fuzz/fuzz-matching CORPUS
 */
#include "tools/weir-proxy/config/matching.h"
#include "tests/fuzz/check.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUTES_MAX = 8, BEGINS_MAX = 4, MORE = -1, NONE = -2 };

struct input {
    const uint8_t *data;
    size_t left;
};

static uint8_t take(struct input *input)
{
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->data++;
}

static char names[][8] = {"a.test", "*.test", "b", "A.TEST."};
static char protocols[][4] = {"h2", "x", "h3"};
static struct config_begin begins[ROUTES_MAX][BEGINS_MAX];
static char *texts[ROUTES_MAX][2];

/* A route in a few bytes: its facts, then its beginnings, each behind its
 * length. */
static void make_route(struct input *input, size_t number,
                       struct config_route *ret)
{
    const uint8_t facts = take(input);
    const uint8_t more = take(input);

    *ret = (struct config_route){.as = facts & 3,
                                 .passes_tls = facts & 4,
                                 .server_name =
                                     facts & 8 ? names[facts >> 4 & 3] : NULL,
                                 .begins = begins[number],
                                 .begin_count = more & 3};
    for (size_t i = 0; i < (more >> 2 & 3u) && i < 2; i++) {
        texts[number][i] = protocols[(more >> 4) % 3];
        ret->alpn = (struct config_texts){texts[number], i + 1};
    }
    if (ret->begin_count > 0) { /* a configuration settles that */
        ret->as = ret->as == AS_TLS ? AS_TLS : AS_PLAIN;
        ret->passes_tls = ret->passes_tls && ret->as == AS_PLAIN;
    }
    for (size_t i = 0; i < ret->begin_count; i++) {
        struct config_begin *begin = &begins[number][i];
        begin->len = 1 + take(input) % CONFIG_BEGIN_MAX;
        for (size_t j = 0; j < begin->len; j++) {
            begin->bytes[j] = take(input);
        }
    }
}

static int choose(const struct config_service *service,
                  struct matching_facts facts, size_t len, bool is_over)
{
    size_t route = SIZE_MAX;

    facts.begin_len = len;
    facts.is_over = is_over;
    const int err = matching_choose(service, &facts, &route);
    check(err == 0 || err == -EAGAIN || err == -ENOENT);
    check(!is_over || err != -EAGAIN);
    check((err == 0) == (route < service->route_count));
    return err == 0 ? (int)route : err == -EAGAIN ? MORE : NONE;
}

/* The same whatever was known of it before. */
static void check_client(const struct config_service *service,
                         struct matching_facts facts, size_t len)
{
    const int all = choose(service, facts, len, true);
    int chosen = MORE;

    for (size_t i = facts.may_be_silent ? 1 : 0; i <= len; i++) {
        const int now = choose(service, facts, i, false);
        check(chosen == MORE || now == chosen);
        check(now != MORE || i < CONFIG_BEGIN_MAX);
        chosen = now;
    }
    check(chosen == MORE || chosen == all);
}

/* A client of which is not known what it is: what was chosen before is chosen
 * when it is known. */
static void check_kinds(const struct config_service *service,
                        struct matching_facts facts, size_t len)
{
    int chosen = MORE;

    for (size_t i = 0; i <= len; i++) {
        facts.kind = matching_guess(facts.begin, i);
        if (facts.kind == MATCHING_TLS) {
            size_t route = SIZE_MAX;
            const int err = matching_choose_by_hello(service, &facts, &route);
            check(chosen == MORE || chosen == (err == 0 ? (int)route : NONE));
            return;
        }
        const char *name = facts.name;
        facts.name = NULL; /* that is in a hello */
        const int now = choose(service, facts, i, false);
        facts.name = name;
        check(chosen == MORE || now == chosen);
        chosen = now;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct config_route routes[ROUTES_MAX];
    struct config_service service = {.routes = routes};
    const uint8_t head = take(&input);

    service.route_count = 1 + (head & 7u);
    for (size_t i = 0; i < service.route_count; i++) {
        make_route(&input, i, &routes[i]);
        for (size_t j = 0; j < i; j++) {
            if (matching_is_same(&routes[i], &routes[j])) {
                return 0; /* such a configuration is refused */
            }
            check(!matching_is_same(&routes[j], &routes[i]));
        }
    }
    check(matching_index(&service));
    const size_t len = input.left < 256 ? input.left : 256;
    struct matching_facts facts = {
        .kind = head & 8 ? MATCHING_PLAIN : MATCHING_TLS,
        .is_open = !(head & 8),
        .name = head & 16 ? names[head >> 5 & 1] : NULL,
        .agreed = {head & 128 ? "h2" : NULL, head & 128 ? 2 : 0},
        .begin = input.data};
    check_client(&service, facts, len);
    facts.may_be_silent = true;
    check_client(&service, facts, len);
    facts.may_be_silent = false;
    facts.is_open = false;
    facts.agreed.len = 0;
    check_kinds(&service, facts, len);
    hashes_free(&service.by_name);
    return 0;
}
