/*
 * The log of requests: the format of a line, that a full ring records nothing
 * more and counts it, and that two threads lose and damage no line.
 *
 * The threads really race.
 */
#include "tools/weir-load/measure/request_log.c"

#include "tests/unit.h"

#include <pthread.h>
#include <string.h>

static struct request_log *request_log;
static char *text;
/* Kinds of the requests; may be NULL. */
static const struct kinds *kinds;

static void make(void)
{
    request_log = request_log_new();
    cr_assert_not_null(request_log);
}

static void end(void)
{
    free(request_log);
    free(text);
    text = NULL;
    kinds = NULL;
}

static uint64_t print(uint64_t begin_ns)
{
    size_t size = 0;

    free(text);
    FILE *out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    const uint64_t count = request_log_write(
        request_log, &(struct request_log_end){out, begin_ns, kinds},
        REQUEST_LOG_SIZE);
    fclose(out);
    return count;
}

UNIT(load_request_log, a_line_has_times_from_the_begin_of_the_window)
{
    make();
    request_log_note(request_log,
                     &(struct request_note){1, 900, 1000, 1500, 3, 200, 0, 0});
    request_log_note(request_log,
                     &(struct request_note){2, 1000, 1100, 1200, 4, 503, 1, 0});
    request_log_note(request_log,
                     &(struct request_note){3, 1000, 1100, 9000, 5, 0, 2, 0});
    request_log_note(request_log,
                     &(struct request_note){4, 1000, 1100, 2000, 5, 0, 3, 0});
    expect_eq(print(1000), 4);
    expect_str_eq(text, "1,3,-100,0,500,200,ok,\n"
                        "2,4,0,100,200,503,failed,\n"
                        "3,5,0,100,8000,,timeout,\n"
                        "4,5,0,100,1000,,lost,\n");
    expect_eq(print(1000), 0);
    expect_str_eq(text, "");
    end();
}

UNIT(load_request_log, a_line_ends_with_the_kind_of_its_request)
{
    static const struct kinds two = {
        .count = 2, .names = {"GET /a", "with \"quotes\", a comma"}};

    make();
    kinds = &two;
    request_log_note(request_log,
                     &(struct request_note){1, 0, 0, 7, 3, 200, 0, 1});
    request_log_note(request_log,
                     &(struct request_note){2, 0, 0, 8, 3, 200, 0, 0});
    expect_eq(print(0), 2);
    expect_str_eq(text, "1,3,0,0,7,200,ok,\"with \"\"quotes\"\", a comma\"\n"
                        "2,3,0,0,8,200,ok,GET /a\n");
    end();
}

UNIT(load_request_log, a_pipe_takes_a_piece_at_once)
{
    static const struct kinds one = {.count = 1, .names = {""}};
    struct kinds longest = one;
    struct request_note note = {UINT64_MAX, 0,          0, UINT64_MAX / 2,
                                UINT32_MAX, UINT16_MAX, 2, 0};

    make();
    memset(longest.names[0], '"', KINDS_NAME_SIZE - 1);
    kinds = &longest;
    const uint64_t piece = request_log_piece(kinds);
    for (uint64_t i = 0; i < piece; i++) {
        request_log_note(request_log, &note);
    }
    expect_eq(print(UINT64_MAX / 2), piece);
    expect_eq(strlen(text) + strlen("number,conn,meant_ns,sent_ns,end_ns,"
                                    "status,end,kind\n") <=
                  4096,
              1, "%zu bytes", strlen(text));
    end();
}

UNIT(load_request_log, a_full_ring_counts_what_it_cannot_note)
{
    struct request_note note = {0};

    make();
    for (note.number = 0; note.number < REQUEST_LOG_SIZE + 5; note.number++) {
        request_log_note(request_log, &note);
    }
    request_log_drop(request_log, 3);
    expect_eq(request_log->dropped, 5 + 3);
    expect_eq(print(0), REQUEST_LOG_SIZE);
    request_log_note(request_log, &note);
    expect_eq(request_log->dropped, 5 + 3, "there is room again");
    expect_eq(print(0), 1);
    expect_eq(strncmp(text, "65541,", 6), 0, "%s", text);
    end();
}

#define NOTES 200000U

static void *note_all(void *arg)
{
    struct request_note note = {0};

    (void)arg;
    for (note.number = 0; note.number < NOTES; note.number++) {
        note.sent_ns = note.end_ns = note.meant_ns = note.number;
        request_log_note(request_log, &note);
    }
    return NULL;
}

UNIT(load_request_log, two_threads_lose_no_note_and_tear_none)
{
    pthread_t thread;
    uint64_t count = 0;

    make();
    expect_eq(pthread_create(&thread, NULL, note_all, NULL), 0);
    while (count < 1000) {
        count += print(0);
        for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
            unsigned long long values[4];
            expect_eq(sscanf(line, "%llu,0,%llu,%llu,%llu,", &values[0],
                             &values[1], &values[2], &values[3]),
                      4);
            expect_eq(values[0], values[1]);
            expect_eq(values[0], values[3]);
        }
    }
    expect_eq(pthread_join(thread, NULL), 0);
    count += print(0);
    expect_eq(count + request_log->dropped, NOTES);
    end();
}
