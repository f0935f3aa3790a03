/*
 * The plan of active checks, and the verdict on an answer. A kind of checks is
 * a row, and its functions.
 *
 * Of HTTP the beginning of the status line is read, "HTTP/1.1 200", behind
 * heads of interim answers. Texts of the plan lie one after the other in one
 * block: the bytes to send, those to expect, the path and the host.
 */
#include "check.h"

#include "lib/base/options.h"
#include "uring/alloc.h"
#include "uring/check.h"

#include <errno.h>
#include <string.h>

#define TIMEOUT_NS  UINT64_C(2000000000)
#define LIMIT_BYTES 4096u
#define STATUS_LEN  12u /* of "HTTP/1.1 200" */
#define STATUS_AT   9u

/* A kind of checks. */
struct check_kind {
    const char *name;
    bool has_handshake; /* it makes sense with TLS alone */
    bool is_bare;       /* it is made without the TLS of the upstream */
    uint32_t least_limit;
    /* The bytes that are sent, in pieces; their number. NULL: nothing is said,
     * and the connection is the answer. */
    size_t (*ask)(const struct weir_upstream_check *plan, const char *authority,
                  struct wr_check_piece ret[WR_CHECK_PIECES]);
    size_t (*get_room)(const struct weir_upstream_check *plan);
    enum wr_verdict (*judge)(const struct weir_upstream_check *plan,
                             const uint8_t *answer, size_t len,
                             uint32_t *ret_status);
};

/* NULL: there is no such kind. */
static const struct check_kind *check_find_kind(enum weir_check_kind kind);

/* ---- the plan ---- */

static void check_set_defaults(struct weir_upstream_check *plan)
{
    plan->timeout_ns = plan->timeout_ns > 0 ? plan->timeout_ns : TIMEOUT_NS;
    plan->rise = plan->rise > 0 ? plan->rise : 2;
    plan->fall = plan->fall > 0 ? plan->fall : 3;
    plan->limit_bytes = plan->limit_bytes > 0 ? plan->limit_bytes : LIMIT_BYTES;
    plan->min_status = plan->min_status > 0 ? plan->min_status : 200;
    plan->max_status = plan->max_status > 0 ? plan->max_status : 399;
    plan->path = plan->path ? plan->path : "/";
    wr_assert(plan->rise > 0 && plan->fall > 0);
}

/* True if the text can stand in a line of a request; NULL can. */
static bool check_is_word(const char *text)
{
    for (; text && *text; text++) {
        if ((unsigned char)*text <= ' ' || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static int check_validate(const struct weir_upstream_check *plan)
{
    const struct check_kind *kind = check_find_kind(plan->kind);

    wr_assert(plan->limit_bytes > 0);
    wr_require(kind, -EINVAL);
    wr_require(plan->send || plan->send_size == 0, -EINVAL);
    wr_require(plan->expect || plan->expect_size == 0, -EINVAL);
    wr_require(plan->expect_size <= plan->limit_bytes, -EINVAL);
    wr_require(plan->limit_bytes >= kind->least_limit, -EINVAL);
    wr_require(plan->min_status <= plan->max_status, -EINVAL);
    wr_require(!plan->no_tls || plan->kind != WEIR_CHECK_TLS, -EINVAL);
    wr_require(check_is_word(plan->path) && plan->path[0] != '\0', -EINVAL);
    wr_require(check_is_word(plan->host), -EINVAL);
    return 0;
}

/* Copies a text to *ret_end, which moves behind it; NULL stays NULL. */
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
    const size_t path_size = check_size_of(known.path);
    const size_t host_size = check_size_of(known.host);
    const size_t size =
        known.send_size + known.expect_size + path_size + host_size;
    wr_assert(size > 0); /* there is a path */
    char *end = wr_alloc(allocator, size);
    wr_require(end, -ENOMEM);
    check->text = end;
    check->text_size = size;
    known.send = check_copy(known.send, known.send_size, &end);
    known.expect = check_copy(known.expect, known.expect_size, &end);
    known.path = check_copy(known.path, path_size, &end);
    known.host = check_copy(known.host, host_size, &end);
    wr_assert(end == check->text + size);
    check->plan = known;
    return 0;
}

void wr_check_fini(struct wr_check *check,
                   const struct weir_allocator *allocator)
{
    wr_assert(!check->text == (check->text_size == 0));
    wr_free(allocator, check->text, check->text_size);
    *check = (struct wr_check){.text = NULL};
}

/* Of texts that are not the same, the lengths differ, or what is in the block.
 */
bool wr_check_is_same(const struct wr_check *a, const struct wr_check *b)
{
    const struct weir_upstream_check *x = &a->plan;
    const struct weir_upstream_check *y = &b->plan;

    wr_assert(a->text_size > 0);
    wr_assert(b->text_size > 0);
    return x->kind == y->kind && x->interval_ns == y->interval_ns &&
           x->timeout_ns == y->timeout_ns && x->rise == y->rise &&
           x->fall == y->fall && x->starts_down == y->starts_down &&
           x->expect_anywhere == y->expect_anywhere &&
           x->send_size == y->send_size && x->expect_size == y->expect_size &&
           x->limit_bytes == y->limit_bytes && x->min_status == y->min_status &&
           x->max_status == y->max_status && x->port == y->port &&
           x->no_tls == y->no_tls && !x->host == !y->host &&
           a->text_size == b->text_size &&
           memcmp(a->text, b->text, a->text_size) == 0;
}

/* ---- texts ---- */

static size_t check_ask_text(const struct weir_upstream_check *plan,
                             const char *authority,
                             struct wr_check_piece ret[WR_CHECK_PIECES])
{
    (void)authority;
    ret[0] = (struct wr_check_piece){plan->send, plan->send_size};
    return 1;
}

static size_t check_text_room(const struct weir_upstream_check *plan)
{
    if (plan->expect_size == 0) {
        return 1;
    }
    wr_assert(plan->expect_size <= plan->limit_bytes);
    return plan->expect_anywhere ? plan->limit_bytes : plan->expect_size;
}

static bool check_contains(const struct weir_upstream_check *plan,
                           const uint8_t *answer, size_t len)
{
    wr_assert(plan->expect_size > 0);
    for (size_t i = 0; i + plan->expect_size <= len; i++) {
        if (memcmp(answer + i, plan->expect, plan->expect_size) == 0) {
            return true;
        }
    }
    return false;
}

static enum wr_verdict check_judge_text(const struct weir_upstream_check *plan,
                                        const uint8_t *answer, size_t len,
                                        uint32_t *ret_status)
{
    (void)ret_status;
    if (plan->expect_size == 0) {
        return len > 0 ? WR_VERDICT_GOOD : WR_VERDICT_MORE;
    }
    if (plan->expect_anywhere) {
        if (check_contains(plan, answer, len)) {
            return WR_VERDICT_GOOD;
        }
        return len < plan->limit_bytes ? WR_VERDICT_MORE : WR_VERDICT_BAD;
    }
    if (memcmp(answer, plan->expect, len) != 0) {
        return WR_VERDICT_BAD;
    }
    return len < plan->expect_size ? WR_VERDICT_MORE : WR_VERDICT_GOOD;
}

/* ---- HTTP ---- */

static size_t check_ask_http(const struct weir_upstream_check *plan,
                             const char *authority,
                             struct wr_check_piece ret[WR_CHECK_PIECES])
{
    const char *const texts[] = {
        "GET ", plan->path,
        " HTTP/1.1\r\nHost: ", plan->host ? plan->host : authority,
        "\r\nUser-Agent: weir\r\nConnection: close\r\n\r\n"};
    const size_t count = sizeof(texts) / sizeof(*texts);

    wr_assert(count <= WR_CHECK_PIECES);
    for (size_t i = 0; i < count; i++) {
        ret[i] = (struct wr_check_piece){texts[i], strlen(texts[i])};
    }
    return count;
}

static size_t check_http_room(const struct weir_upstream_check *plan)
{
    return plan->limit_bytes;
}

/* Reads a status line of which @len bytes have arrived. WR_VERDICT_GOOD: it is
 * one, and the status is written. */
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

/* Where the head of an answer ends that begins at @at; 0: not here. */
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

/* Interim answers, as 103 Early Hints, may go before the one that counts (RFC
 * 9110, 15.2); 101 is an answer. */
static enum wr_verdict check_judge_http(const struct weir_upstream_check *plan,
                                        const uint8_t *answer, size_t len,
                                        uint32_t *ret_status)
{
    size_t at = 0;
    uint32_t status = 0;

    wr_assert(len <= plan->limit_bytes);
    do {
        const enum wr_verdict verdict =
            check_read_status(answer + at, len - at, &status);
        if (verdict == WR_VERDICT_MORE && len == plan->limit_bytes) {
            return WR_VERDICT_BAD;
        }
        if (verdict != WR_VERDICT_GOOD) {
            return verdict;
        }
        if (status < 100 || status == 101 || status > 199) {
            *ret_status = status;
            return status >= plan->min_status && status <= plan->max_status
                       ? WR_VERDICT_GOOD
                       : WR_VERDICT_BAD;
        }
        at = check_find_end(answer, len, at);
    } while (at > 0);
    return len < plan->limit_bytes ? WR_VERDICT_MORE : WR_VERDICT_BAD;
}

/* ---- the kinds ---- */

static const struct check_kind check_tcp = {.name = "tcp", .is_bare = true};
static const struct check_kind check_tls = {.name = "tls",
                                            .has_handshake = true};
static const struct check_kind check_text = {.name = "text",
                                             .ask = check_ask_text,
                                             .get_room = check_text_room,
                                             .judge = check_judge_text};
static const struct check_kind check_http = {.name = "http",
                                             .least_limit = STATUS_LEN,
                                             .ask = check_ask_http,
                                             .get_room = check_http_room,
                                             .judge = check_judge_http};

/* Without a default, so that the compiler misses a kind that has no row. */
static const struct check_kind *check_find_kind(enum weir_check_kind kind)
{
    switch (kind) {
    case WEIR_CHECK_TCP:
        return &check_tcp;
    case WEIR_CHECK_TLS:
        return &check_tls;
    case WEIR_CHECK_TEXT:
        return &check_text;
    case WEIR_CHECK_HTTP:
        return &check_http;
    }
    return NULL;
}

const char *weir_check_kind_get_name(enum weir_check_kind kind)
{
    const struct check_kind *known = check_find_kind(kind);

    return known ? known->name : NULL;
}

int weir_check_kind_parse(const char *name, enum weir_check_kind *ret)
{
    wr_require(name && ret, -EINVAL);
    const char *known = NULL;
    for (int i = 0; (known = weir_check_kind_get_name((enum weir_check_kind)i));
         i++) {
        if (strcmp(known, name) == 0) {
            *ret = (enum weir_check_kind)i;
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

size_t wr_check_ask(const struct wr_check *check, const char *authority,
                    struct wr_check_piece ret[WR_CHECK_PIECES])
{
    wr_assert(wr_check_has_answer(check));
    return check_find_kind(check->plan.kind)->ask(&check->plan, authority, ret);
}

size_t wr_check_get_room(const struct wr_check *check)
{
    wr_assert(wr_check_has_answer(check));
    return check_find_kind(check->plan.kind)->get_room(&check->plan);
}

enum wr_verdict wr_check_judge(const struct wr_check *check,
                               const uint8_t *answer, size_t len,
                               uint32_t *ret_status)
{
    wr_assert(wr_check_has_answer(check));
    wr_assert(len <= wr_check_get_room(check));
    return check_find_kind(check->plan.kind)
        ->judge(&check->plan, answer, len, ret_status);
}
