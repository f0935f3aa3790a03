/*
 * Text checks: dialogues of steps, each of which sends bytes, expects bytes, or
 * both.
 *
 * Expected bytes are searched after the match of the previous step. A step that
 * sends something skips everything received before, because the response
 * follows it.
 */
#include "kind.h"

#include <string.h>

static size_t dialogue_count(const struct wr_check *check)
{
    return check->step_count > 0 ? check->step_count : 1;
}

static struct weir_upstream_check_step
dialogue_get(const struct wr_check *check, size_t index)
{
    const struct weir_upstream_check *plan = &check->plan;

    wr_assert(index < dialogue_count(check));
    if (check->step_count == 0) {
        return (struct weir_upstream_check_step){
            plan->send, plan->send_size, plan->expect, plan->expect_size,
            plan->expect_anywhere};
    }
    const struct wr_check_step *step =
        (const struct wr_check_step *)(const void *)check->text + index;
    return (struct weir_upstream_check_step){
        check->text + step->send_at, step->send_size,
        check->text + step->expect_at, step->expect_size,
        step->is_anywhere != 0};
}

static bool dialogue_takes_any(const struct wr_check *check)
{
    const size_t count = dialogue_count(check);
    size_t i = 0;

    wr_assert(count > 0);
    while (i < count && dialogue_get(check, i).expect_size == 0) {
        i++;
    }
    return i == count;
}

static size_t dialogue_ask(const struct wr_check *check,
                           const struct wr_check_talk *talk,
                           const char *authority,
                           struct wr_check_piece ret[WR_CHECK_PIECES])
{
    const struct weir_upstream_check_step step =
        dialogue_get(check, talk->step);

    (void)authority;
    wr_assert(step.send || step.send_size == 0);
    ret[0] = (struct wr_check_piece){step.send, step.send_size};
    return 1;
}

/* Returns the end of the expected bytes, or 0 if they are not found. */
static size_t dialogue_find(const struct weir_upstream_check_step *step,
                            const uint8_t *answer, size_t len)
{
    const size_t size = step->expect_size;
    const size_t last = step->expect_anywhere && len > size ? len - size : 0;

    wr_assert(size > 0);
    wr_assert(step->expect != NULL);
    for (size_t i = 0; i <= last && i + size <= len; i++) {
        if (memcmp(answer + i, step->expect, size) == 0) {
            return i + size;
        }
    }
    return 0;
}

static enum wr_verdict
dialogue_miss(const struct weir_upstream_check_step *step,
              const uint8_t *answer, size_t len)
{
    const size_t size = len < step->expect_size ? len : step->expect_size;

    wr_assert(step->expect_size > 0);
    return step->expect_anywhere || memcmp(answer, step->expect, size) == 0
               ? WR_VERDICT_MORE
               : WR_VERDICT_BAD;
}

static enum wr_verdict dialogue_go_on(const struct wr_check *check,
                                      struct wr_check_talk *talk, size_t len)
{
    wr_assert(talk->used <= len);
    if (talk->step + 1 == dialogue_count(check)) {
        return WR_VERDICT_GOOD;
    }
    talk->step++;
    if (dialogue_get(check, talk->step).send_size > 0) {
        talk->used = len;
    }
    return WR_VERDICT_SAY;
}

static enum wr_verdict dialogue_judge(const struct wr_check *check,
                                      struct wr_check_talk *talk,
                                      const uint8_t *answer, size_t len)
{
    const struct weir_upstream_check_step step =
        dialogue_get(check, talk->step);
    const uint8_t *rest = answer + talk->used;
    const size_t left = len - talk->used;
    const bool is_last = talk->step + 1 == dialogue_count(check);

    wr_assert(talk->used <= len);
    if (step.expect_size == 0) {
        return is_last && left == 0 && dialogue_takes_any(check)
                   ? WR_VERDICT_MORE
                   : dialogue_go_on(check, talk, len);
    }
    const size_t end = dialogue_find(&step, rest, left);
    if (end == 0) {
        return dialogue_miss(&step, rest, left);
    }
    talk->used += end;
    return dialogue_go_on(check, talk, len);
}

void wr_dialogue_note_reason(struct wr_check_talk *talk, const void *words,
                             size_t len)
{
    const uint8_t *text = words;
    size_t at = strlen(talk->reason);

    wr_assert(at < sizeof(talk->reason));
    for (size_t i = 0; i < len && at + 1 < sizeof(talk->reason) &&
                       text[i] != '\r' && text[i] != '\n' && text[i] != '\0';
         i++) {
        talk->reason[at++] =
            (char)(text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?');
    }
    talk->reason[at] = '\0';
}

bool wr_dialogue_is_over_when_quiet(const struct wr_check *check,
                                    const struct wr_check_talk *talk,
                                    size_t len)
{
    const struct weir_upstream_check_step step =
        dialogue_get(check, talk->step);
    /* If nothing was sent yet, silence only means that the server's greeting is
     * late. */
    bool has_asked = false;

    wr_assert(talk->used <= len);
    for (size_t i = 0; i <= talk->step; i++) {
        has_asked |= dialogue_get(check, i).send_size > 0;
    }
    return has_asked && step.expect_size > 0 && step.expect_anywhere &&
           len > talk->used;
}

const struct wr_check_kind wr_check_text = {
    .name = "text", .ask = dialogue_ask, .judge = dialogue_judge};
