/*
 * A ring between a measuring thread and the thread that writes the log.
 *
 * The measuring thread stores `noted` with release after it has written a note,
 * and the writer loads it with acquire. The writer stores `taken` with release
 * after it has read a note. `dropped` is read only after the measuring thread
 * has ended.
 */
#include "measure.h"

#include "tools/weir-load/base/base.h"

#include <stdlib.h>

struct request_log *request_log_new(void)
{
    struct request_log *log =
        aligned_alloc(_Alignof(struct request_log), sizeof(*log));

    if (log) {
        log->noted = 0;
        log->dropped = 0;
        log->taken = 0;
    }
    return log;
}

void request_log_note(struct request_log *log, const struct request_note *note)
{
    const uint64_t taken = __atomic_load_n(&log->taken, __ATOMIC_ACQUIRE);

    if (log->noted - taken == REQUEST_LOG_SIZE) {
        log->dropped++;
        return;
    }
    log->notes[log->noted % REQUEST_LOG_SIZE] = *note;
    __atomic_store_n(&log->noted, log->noted + 1, __ATOMIC_RELEASE);
}

/* Returns nanoseconds since the start of the window; negative before it. */
static long long since(uint64_t time_ns, uint64_t begin_ns)
{
    return (long long)(time_ns - begin_ns);
}

static void write_note(const struct request_note *note,
                       const struct request_log_end *end)
{
    static const char *const words[] = {
        [REQUEST_OK] = "ok",
        [REQUEST_FAILED] = "failed",
        [REQUEST_TIMEOUT] = "timeout",
        [REQUEST_LOST] = "lost",
    };

    FILE *out = end->out;
    const uint64_t begin_ns = end->begin_ns;

    fprintf(out, "%llu,%u,%lld,%lld,%lld,", LLU(note->number), note->conn,
            since(note->meant_ns, begin_ns), since(note->sent_ns, begin_ns),
            since(note->end_ns, begin_ns));
    if (note->status > 0) {
        fprintf(out, "%u", note->status);
    }
    fprintf(out, ",%s,", words[note->end]);
    if (end->kinds) {
        kind_name_write_cell(end->kinds->names[note->kind], out);
    }
    fputc('\n', out);
}

uint64_t request_log_piece(const struct kinds *kinds)
{
    /* a cell's size if every character is a quote, which is doubled */
    const uint64_t cell = 2 * KINDS_NAME_SIZE + 2;
    const uint64_t line = REQUEST_LOG_LINE + (kinds ? cell : 0);

    return (REQUEST_LOG_PIPE - REQUEST_LOG_LINE) / line;
}

uint64_t request_log_write(struct request_log *log,
                           const struct request_log_end *end, uint64_t most)
{
    const uint64_t noted = __atomic_load_n(&log->noted, __ATOMIC_ACQUIRE);
    const uint64_t there = noted - log->taken;
    const uint64_t count = there < most ? there : most;
    const uint64_t last = log->taken + count;

    for (uint64_t i = log->taken; i < last; i++) {
        write_note(&log->notes[i % REQUEST_LOG_SIZE], end);
        __atomic_store_n(&log->taken, i + 1, __ATOMIC_RELEASE);
    }
    return count;
}

void request_log_write_header(FILE *out)
{
    fputs("number,conn,meant_ns,sent_ns,end_ns,status,end,kind\n", out);
}
