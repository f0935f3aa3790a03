/*
 * The plan of active checks, and the verdict on a response. Each kind of checks
 * has a table of functions (kind.h).
 * The texts of a plan, and the steps of its dialogue, are in one block.
 */
#include "check.h"

#include "kind.h"

#include <errno.h>
#include <string.h>

#define TIMEOUT_NS  UINT64_C(2000000000)
#define LIMIT_BYTES 4096u
/* Maximum response in text: Redis's INFO has more than 4 KiB. */
#define TEXT_BYTES 16384u
#define STATUS_LEN 12u /* of "HTTP/1.1 200" */
#define STATUS_AT  9u

static const struct wr_check_kind *
check_find_kind(enum weir_upstream_check_kind kind);

static void check_set_defaults(struct weir_upstream_check *plan)
{
    plan->timeout_ns = plan->timeout_ns > 0 ? plan->timeout_ns : TIMEOUT_NS;
    plan->rise = plan->rise > 0 ? plan->rise : 2;
    plan->fall = plan->fall > 0 ? plan->fall : 3;
    plan->limit_bytes = plan->limit_bytes > 0 ? plan->limit_bytes
                        : plan->kind == WEIR_UPSTREAM_CHECK_TEXT ? TEXT_BYTES
                                                                 : LIMIT_BYTES;
    plan->min_status = plan->min_status > 0 ? plan->min_status : 200;
    plan->max_status = plan->max_status > 0 ? plan->max_status : 399;
    plan->path = plan->path ? plan->path : "/";
    plan->fast_ns = plan->fast_ns > 0 ? plan->fast_ns : plan->interval_ns;
    wr_assert(plan->rise > 0 && plan->fall > 0);
}

/* Returns true for NULL, and for a text that can be part of a request line. */
static bool check_is_word(const char *text)
{
    for (; text && *text; text++) {
        if ((unsigned char)*text <= ' ' || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static int check_validate_steps(const struct weir_upstream_check *plan)
{
    wr_assert(plan->limit_bytes > 0);
    wr_require(plan->send || plan->send_size == 0, -EINVAL);
    wr_require(plan->expect || plan->expect_size == 0, -EINVAL);
    wr_require(plan->expect_size <= plan->limit_bytes, -EINVAL);
    wr_require(plan->step_count <= WEIR_UPSTREAM_CHECK_STEPS_MAX, -EINVAL);
    wr_require(plan->steps || plan->step_count == 0, -EINVAL);
    wr_require(plan->step_count == 0 || (!plan->send && !plan->expect),
               -EINVAL);
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct weir_upstream_check_step *step = &plan->steps[i];
        wr_require(step->send || step->send_size == 0, -EINVAL);
        wr_require(step->expect || step->expect_size == 0, -EINVAL);
        wr_require(step->expect_size <= plan->limit_bytes, -EINVAL);
    }
    return 0;
}

static int check_validate_endpoint(const struct weir_upstream_check *plan)
{
    const struct weir_endpoint *endpoint = &plan->endpoint;

    switch (endpoint->kind) {
    case WEIR_ENDPOINT_HOST:
        wr_require(!endpoint->host || (endpoint->host[0] && plan->port == 0),
                   -EINVAL);
        return 0;
    case WEIR_ENDPOINT_ADDRESSES:
        wr_require(endpoint->address_count == 1 && endpoint->addresses,
                   -EINVAL);
        wr_require(wr_address_is_valid(endpoint->addresses), -EINVAL);
        wr_require(!wr_address_is_unnamed(endpoint->addresses), -EINVAL);
        break;
    case WEIR_ENDPOINT_UNIX:
        wr_require(endpoint->path && endpoint->path[0], -EINVAL);
        break;
    case WEIR_ENDPOINT_FD:
    case WEIR_ENDPOINT_READ_PIPE:
    case WEIR_ENDPOINT_WRITE_PIPE:
        return -EINVAL;
    }
    wr_require(plan->port == 0, -EINVAL);
    return 0;
}

static int check_validate(const struct weir_upstream_check *plan)
{
    const struct wr_check_kind *kind = check_find_kind(plan->kind);

    wr_assert(plan->limit_bytes > 0);
    wr_require(kind, -EINVAL);
    const int err = check_validate_steps(plan);
    wr_require(err >= 0, err);
    wr_require(plan->limit_bytes >= kind->least_limit, -EINVAL);
    wr_require(plan->min_status <= plan->max_status, -EINVAL);
    wr_require(!plan->no_tls || plan->kind != WEIR_UPSTREAM_CHECK_TLS, -EINVAL);
    wr_require(check_is_word(plan->path) && plan->path[0] != '\0', -EINVAL);
    wr_require(check_is_word(plan->host), -EINVAL);
    wr_require(!kind->needs_user || (plan->user && plan->user[0]), -EINVAL);
    wr_require(!plan->user ||
                   strlen(plan->user) <= WEIR_UPSTREAM_CHECK_USER_MAX,
               -EINVAL);
    wr_require((unsigned)plan->proxy_version <= WEIR_PROXY_V2, -EINVAL);
    return check_validate_endpoint(plan);
}

/* Copies a text to *ret_end and advances *ret_end. NULL stays NULL. */
static const void *check_copy(const void *text, size_t size, char **ret_end)
{
    char *copy = *ret_end;

    wr_assert(copy != NULL);
    if (!text) {
        return NULL;
    }
    memcpy(copy, text, size);
    *ret_end = copy + size;
    return copy;
}

static size_t check_size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static const char *check_copy_text(const char *text, char **ret_end)
{
    return check_copy(text, check_size_of(text), ret_end);
}

static size_t check_login_size(const struct weir_upstream_check *plan)
{
    const struct wr_check_kind *kind = check_find_kind(plan->kind);

    wr_assert(kind != NULL);
    return kind->make_login ? kind->make_login(plan, NULL) : 0;
}

static size_t check_count_text(const struct weir_upstream_check *plan)
{
    size_t size = plan->step_count * sizeof(struct wr_check_step);

    for (size_t i = 0; i < plan->step_count; i++) {
        size += plan->steps[i].send_size + plan->steps[i].expect_size;
    }
    wr_assert(plan->path != NULL);
    return size + plan->send_size + plan->expect_size +
           check_size_of(plan->path) + check_size_of(plan->host) +
           check_size_of(plan->user) + check_size_of(plan->endpoint.host) +
           check_size_of(plan->endpoint.path) + check_login_size(plan);
}

/* Copies the steps to the start of the block, followed by their bytes. */
static void check_copy_steps(struct wr_check *check,
                             const struct weir_upstream_check *plan,
                             char **ret_end)
{
    struct wr_check_step *steps = (struct wr_check_step *)(void *)check->text;

    wr_assert(*ret_end == check->text);
    *ret_end += plan->step_count * sizeof(*steps);
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct weir_upstream_check_step *step = &plan->steps[i];
        steps[i].send_at = (size_t)(*ret_end - check->text);
        steps[i].send_size = step->send_size;
        check_copy(step->send, step->send_size, ret_end);
        steps[i].expect_at = (size_t)(*ret_end - check->text);
        steps[i].expect_size = step->expect_size;
        check_copy(step->expect, step->expect_size, ret_end);
        steps[i].is_anywhere = step->expect_anywhere;
    }
    check->step_count = plan->step_count;
}

static void check_copy_plan(struct wr_check *check,
                            const struct weir_upstream_check *known)
{
    struct weir_upstream_check *plan = &check->plan;
    char *end = check->text;

    *plan = *known;
    check_copy_steps(check, known, &end);
    plan->steps = NULL; /* check_copy_steps() has copied them to the text */
    plan->send = check_copy(known->send, known->send_size, &end);
    plan->expect = check_copy(known->expect, known->expect_size, &end);
    plan->path = check_copy_text(known->path, &end);
    plan->host = check_copy_text(known->host, &end);
    plan->user = check_copy_text(known->user, &end);
    plan->endpoint.host = check_copy_text(known->endpoint.host, &end);
    plan->endpoint.path = check_copy_text(known->endpoint.path, &end);
    if (known->endpoint.kind == WEIR_ENDPOINT_ADDRESSES) {
        check->address = *known->endpoint.addresses;
        plan->endpoint.addresses = NULL;
    }
    check->login_size = check_login_size(plan);
    if (check->login_size > 0) {
        check_find_kind(plan->kind)->make_login(plan, (uint8_t *)end);
        check->login = end;
        end += check->login_size;
    }
    wr_assert(end == check->text + check->text_size);
}

int wr_check_init(struct wr_check *check,
                  const struct weir_allocator *allocator,
                  const struct weir_upstream_check *plan)
{
    struct weir_upstream_check known;

    *check = (struct wr_check){.text = NULL};
    int err = wr_options_read(&known, sizeof(known), plan);
    wr_require(err >= 0, err);
    check_set_defaults(&known);
    err = check_validate(&known);
    wr_require(err >= 0, err);
    const size_t size = check_count_text(&known);
    wr_assert(size > 0); /* at least the path */
    check->text = wr_alloc(allocator, size);
    wr_require(check->text, -ENOMEM);
    check->text_size = size;
    check_copy_plan(check, &known);
    return 0;
}

void wr_check_fini(struct wr_check *check,
                   const struct weir_allocator *allocator)
{
    wr_assert(!check->text == (check->text_size == 0));
    wr_free(allocator, check->text, check->text_size);
    *check = (struct wr_check){.text = NULL};
}

/* NULL and an empty text differ, even if the blocks are equal. */
static bool check_has_same_texts(const struct wr_check *a,
                                 const struct wr_check *b)
{
    const struct weir_upstream_check *x = &a->plan;
    const struct weir_upstream_check *y = &b->plan;

    wr_assert(a->text_size > 0);
    wr_assert(b->text_size > 0);
    return !x->host == !y->host && !x->user == !y->user &&
           x->send_size == y->send_size && x->expect_size == y->expect_size &&
           a->step_count == b->step_count && a->text_size == b->text_size &&
           memcmp(a->text, b->text, a->text_size) == 0;
}

static bool check_has_same_endpoint(const struct wr_check *a,
                                    const struct wr_check *b)
{
    const struct weir_endpoint *x = &a->plan.endpoint;
    const struct weir_endpoint *y = &b->plan.endpoint;

    wr_assert(x->kind != WEIR_ENDPOINT_FD);
    return x->kind == y->kind && !x->host == !y->host && x->port == y->port &&
           (x->kind != WEIR_ENDPOINT_ADDRESSES ||
            weir_address_is_equal(&a->address, &b->address));
}

bool wr_check_is_same(const struct wr_check *a, const struct wr_check *b)
{
    const struct weir_upstream_check *x = &a->plan;
    const struct weir_upstream_check *y = &b->plan;

    return x->kind == y->kind && x->interval_ns == y->interval_ns &&
           x->timeout_ns == y->timeout_ns && x->rise == y->rise &&
           x->fall == y->fall && x->starts_down == y->starts_down &&
           x->expect_anywhere == y->expect_anywhere &&
           x->limit_bytes == y->limit_bytes && x->min_status == y->min_status &&
           x->max_status == y->max_status && x->port == y->port &&
           x->no_tls == y->no_tls && x->fast_ns == y->fast_ns &&
           x->proxy_version == y->proxy_version && check_has_same_texts(a, b) &&
           check_has_same_endpoint(a, b);
}

bool wr_check_has_endpoint(const struct wr_check *check)
{
    return check->plan.endpoint.kind != WEIR_ENDPOINT_HOST ||
           check->plan.endpoint.host;
}

struct weir_endpoint wr_check_get_endpoint(const struct wr_check *check)
{
    wr_assert(wr_check_has_endpoint(check));
    return check->plan.endpoint.kind == WEIR_ENDPOINT_ADDRESSES
               ? weir_endpoint_addresses(&check->address, 1)
               : check->plan.endpoint;
}

static size_t check_ask_http(const struct wr_check *check,
                             const struct wr_check_talk *talk,
                             const char *authority,
                             struct wr_check_piece ret[WR_CHECK_PIECES])
{
    const struct weir_upstream_check *plan = &check->plan;
    const char *const texts[] = {
        "GET ", plan->path,
        " HTTP/1.1\r\nHost: ", plan->host ? plan->host : authority,
        "\r\nUser-Agent: weir\r\nConnection: close\r\n\r\n"};
    const size_t count = sizeof(texts) / sizeof(*texts);

    wr_assert(count <= WR_CHECK_PIECES);
    wr_assert(talk->step == 0);
    for (size_t i = 0; i < count; i++) {
        ret[i] = (struct wr_check_piece){texts[i], strlen(texts[i])};
    }
    return count;
}

static enum wr_verdict check_read_status(const uint8_t *answer, size_t len,
                                         uint32_t *ret_status)
{
    static const char form[] = "HTTP/1.# ###";
    uint32_t status = 0;

    wr_assert(sizeof(form) == STATUS_LEN + 1);
    for (size_t i = 0; i < len && i < STATUS_LEN; i++) {
        const bool is_digit = answer[i] >= '0' && answer[i] <= '9';
        if (form[i] == '#' ? !is_digit : answer[i] != (uint8_t)form[i]) {
            return WR_VERDICT_BAD;
        }
        if (i >= STATUS_AT) {
            status = status * 10 + (uint32_t)(answer[i] - '0');
        }
    }
    if (len < STATUS_LEN) {
        return WR_VERDICT_MORE;
    }
    *ret_status = status;
    return WR_VERDICT_GOOD;
}

/* Returns the end of the response head that starts at @at, or 0. */
static size_t check_find_end(const uint8_t *answer, size_t len, size_t at)
{
    wr_assert(at <= len);
    for (size_t i = at + 1; i < len; i++) {
        const bool is_empty =
            answer[i - 1] == '\n' ||
            (i > at + 1 && answer[i - 1] == '\r' && answer[i - 2] == '\n');
        if (answer[i] == '\n' && is_empty) {
            return i + 1;
        }
    }
    return 0;
}

/* Skips interim responses, such as 103 Early Hints (RFC 9110, 15.2); 101 is a
 * final one. */
static enum wr_verdict check_judge_http(const struct wr_check *check,
                                        struct wr_check_talk *talk,
                                        const uint8_t *answer, size_t len)
{
    const struct weir_upstream_check *plan = &check->plan;
    size_t at = 0;
    uint32_t status = 0;

    wr_assert(len <= plan->limit_bytes);
    do {
        const enum wr_verdict verdict =
            check_read_status(answer + at, len - at, &status);
        if (verdict != WR_VERDICT_GOOD) {
            return verdict;
        }
        if (status < 100 || status == 101 || status > 199) {
            talk->status = status;
            return status >= plan->min_status && status <= plan->max_status
                       ? WR_VERDICT_GOOD
                       : WR_VERDICT_BAD;
        }
        at = check_find_end(answer, len, at);
    } while (at > 0);
    return WR_VERDICT_MORE;
}

static const struct wr_check_kind check_tcp = {.name = "tcp", .is_bare = true};
static const struct wr_check_kind check_tls = {.name = "tls",
                                               .has_handshake = true};
static const struct wr_check_kind check_http = {.name = "http",
                                                .least_limit = STATUS_LEN,
                                                .ask = check_ask_http,
                                                .judge = check_judge_http};

/* The switch has no default, so that the compiler reports a missing kind. */
static const struct wr_check_kind *
check_find_kind(enum weir_upstream_check_kind kind)
{
    switch (kind) {
    case WEIR_UPSTREAM_CHECK_TCP:
        return &check_tcp;
    case WEIR_UPSTREAM_CHECK_TLS:
        return &check_tls;
    case WEIR_UPSTREAM_CHECK_TEXT:
        return &wr_check_text;
    case WEIR_UPSTREAM_CHECK_HTTP:
        return &check_http;
    case WEIR_UPSTREAM_CHECK_POSTGRES:
        return &wr_check_postgres;
    case WEIR_UPSTREAM_CHECK_MYSQL:
        return &wr_check_mysql;
    }
    return NULL;
}

const char *
weir_upstream_check_kind_get_name(enum weir_upstream_check_kind kind)
{
    const struct wr_check_kind *known = check_find_kind(kind);

    return known ? known->name : NULL;
}

int weir_upstream_check_kind_parse(const char *name,
                                   enum weir_upstream_check_kind *ret)
{
    wr_require(name && ret, -EINVAL);
    const char *known = NULL;
    for (int i = 0; (known = weir_upstream_check_kind_get_name(
                         (enum weir_upstream_check_kind)i));
         i++) {
        if (strcmp(known, name) == 0) {
            *ret = (enum weir_upstream_check_kind)i;
            return 0;
        }
    }
    return -EINVAL;
}

bool wr_check_has_handshake(const struct wr_check *check)
{
    return check_find_kind(check->plan.kind)->has_handshake;
}

bool wr_check_is_bare(const struct wr_check *check)
{
    return check_find_kind(check->plan.kind)->is_bare;
}

bool wr_check_has_answer(const struct wr_check *check)
{
    return check_find_kind(check->plan.kind)->judge != NULL;
}

size_t wr_check_ask(const struct wr_check *check,
                    const struct wr_check_talk *talk, const char *authority,
                    struct wr_check_piece ret[WR_CHECK_PIECES])
{
    wr_assert(wr_check_has_answer(check));
    return check_find_kind(check->plan.kind)->ask(check, talk, authority, ret);
}

struct wr_check_piece wr_check_bye(const struct wr_check *check,
                                   const struct wr_check_talk *talk)
{
    wr_assert(wr_check_has_answer(check));
    return talk->is_in ? check_find_kind(check->plan.kind)->bye
                       : (struct wr_check_piece){NULL, 0};
}

size_t wr_check_get_room(const struct wr_check *check)
{
    wr_assert(wr_check_has_answer(check));
    return check->plan.limit_bytes;
}

enum wr_verdict wr_check_judge(const struct wr_check *check,
                               struct wr_check_talk *talk,
                               const uint8_t *answer, size_t len)
{
    wr_assert(wr_check_has_answer(check));
    wr_assert(len <= check->plan.limit_bytes);
    const enum wr_verdict verdict =
        check_find_kind(check->plan.kind)->judge(check, talk, answer, len);
    return verdict == WR_VERDICT_MORE && len == check->plan.limit_bytes
               ? WR_VERDICT_BAD
               : verdict;
}

bool wr_check_is_over_when_quiet(const struct wr_check *check,
                                 const struct wr_check_talk *talk, size_t len)
{
    wr_assert(wr_check_has_answer(check));
    return check->plan.kind == WEIR_UPSTREAM_CHECK_TEXT &&
           wr_dialogue_is_over_when_quiet(check, talk, len);
}
