/*
 * libFuzzer's entry to the checks of upstreams: bytes as what a server answers.
 *
 *     ninja tests/fuzz/fuzz-check-answer
 *     tests/fuzz/fuzz-check-answer CORPUS
 *
 * The first byte chooses the check. The verdict on HTTP and on logins does not
 * depend on the pieces in which the answer arrives; that of a dialogue may, as
 * it passes over what came before it speaks.
 */
#include "tests/fuzz/check.h"

#include "lib/proxy/upstream/check.h"
#include "uring/alloc.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 512 };

static const struct weir_upstream_check_step steps[] = {
    {.expect = "22", .expect_size = 2, .expect_anywhere = true},
    {.expect = "\n", .expect_size = 1, .expect_anywhere = true},
    {.send = "\0a", .send_size = 2, .expect = "\0b", .expect_size = 2},
    {.send = "c", .send_size = 1},
    {.expect = "ab", .expect_size = 2},
};

static const struct weir_upstream_check plans[] = {
    {.kind = WEIR_UPSTREAM_CHECK_TEXT, .steps = steps, .step_count = 5},
    {.kind = WEIR_UPSTREAM_CHECK_TEXT, .expect = "aab", .expect_size = 3},
    {.kind = WEIR_UPSTREAM_CHECK_HTTP},
    {.kind = WEIR_UPSTREAM_CHECK_POSTGRES, .user = "u"},
    {.kind = WEIR_UPSTREAM_CHECK_MYSQL, .user = "u"},
};

static enum wr_verdict judge(const struct wr_check *one,
                             struct wr_check_talk *talk, const uint8_t *answer,
                             size_t len)
{
    struct wr_check_piece pieces[WR_CHECK_PIECES];
    enum wr_verdict verdict;
    size_t said = 0;

    while ((verdict = wr_check_judge(one, talk, answer, len)) ==
           WR_VERDICT_SAY) {
        check(++said <= sizeof(steps) / sizeof(steps[0]));
        check(wr_check_ask(one, talk, "a:1", pieces) <= WR_CHECK_PIECES);
    }
    check(talk->used <= len);
    check(verdict != WR_VERDICT_MORE || len < LIMIT);
    check(verdict == WR_VERDICT_GOOD || !talk->is_in);
    (void)wr_check_bye(one, talk);
    (void)wr_check_is_over_when_quiet(one, talk, len);
    return verdict;
}

/* The verdict on an answer that arrives in pieces of this size. */
static enum wr_verdict judge_in_pieces(const struct wr_check *one,
                                       const uint8_t *answer, size_t size,
                                       size_t piece)
{
    struct wr_check_talk talk = {.step = 0};
    enum wr_verdict verdict = judge(one, &talk, answer, 0);

    for (size_t len = 0; len < size && verdict == WR_VERDICT_MORE;) {
        len = size - len < piece ? size : len + piece;
        verdict = judge(one, &talk, answer, len);
    }
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct weir_upstream_check plan =
        plans[data[0] % (sizeof(plans) / sizeof(plans[0]))];
    struct wr_check one;
    const size_t len = size - 1 < LIMIT ? size - 1 : LIMIT;
    plan.size = sizeof(plan);
    plan.limit_bytes = LIMIT;
    check(wr_check_init(&one, wr_default_allocator(), &plan) == 0);
    uint8_t *answer = malloc(len + 1); /* of its own size */
    check(answer);
    memcpy(answer, data + 1, len);
    const enum wr_verdict bytewise = judge_in_pieces(&one, answer, len, 1);
    const enum wr_verdict whole = judge_in_pieces(&one, answer, len, LIMIT);
    check(bytewise == whole || plan.kind == WEIR_UPSTREAM_CHECK_TEXT);
    free(answer);
    wr_check_fini(&one, wr_default_allocator());
    return 0;
}
