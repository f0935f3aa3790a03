/*
 * Scenes that must fail.
 *
 * Each step with a check fails if the check does not hold, and the message
 * shows the step (rest is not tested, because it depends on time). A word that
 * no step has fails before the first round.
 */
#include "tests/contract/scenes.h"

#include <sys/wait.h>

static const struct {
    const char *text;
    const char *said;
} rows[] = {
    {"wrote 5", "'wrote' is no step"},
    {"close; closd", "'closd' is no step"},
    {"write", "'write' lacks a word"},
    {"write 5x", "'write' cannot have '5x'"},
    {"write 5 EPIP", "'write' cannot have 'EPIP'"},
    {"close 0 0", "'close' has a word too many"},
    {"lost 0 GONE", "'lost' cannot have 'GONE'"},
    {"none resum", "'none' cannot have 'resum'"},
    {"limit idel 5", "'limit' cannot have 'idel'"},
    {"pending lots", "'pending' cannot have 'lots'"},
    {"pending <lots", "'pending' cannot have '<lots'"},
    {"note pendin", "'note' cannot have 'pendin'"},
    {"ran @date 1", "'ran' cannot have '@date'"},
    {"@date close", "'@date' is no callback"},
    {"by hand", "'by' cannot have 'hand'"},
    {"turn; write 5 EPIPE; turn", "turn;>> write 5 EPIPE<<; turn"},
    {"write 5 EPIPE|ESHUTDOWN", "the error is 0, not EPIPE|ESHUTDOWN"},
    {"close; write 5", "the error is ESHUTDOWN, not 0"},
    {"eof EPIPE", "the error is 0, not EPIPE"},
    {"abort EPIPE", "the error is 0, not EPIPE"},
    {"hard 20; write 21 ENOBUFS; told 0", "the error is ENOBUFS, not 0"},
    {"abort; lost EPIPE", "the error is 0, not EPIPE"},
    {"abort; lost 0 CLOSED", "not \"CLOSED\""},
    {"error EPIPE", "the error is 0, not EPIPE"},
    {"marks -1 -1", "the error is EINVAL, not 0"},
    {"abort; lost 0; read-end", "the error is ECONNRESET, not 0"},
    {"close; lost 0; read-end reset", "not == -104"},
    {"pending 1", "pending is 0, not 1"},
    {"pending >0", "pending is 0, not >0"},
    {"write 5; pending <=5; pending <=4", "pending is 5, not <=4"},
    {"write 5; pending >4; pending >5", "pending is 5, not >5"},
    {"write 5; pending >=5; pending >=6", "pending is 5, not >=6"},
    {"write 5; pending <6; pending <5", "pending is 5, not <5"},
    {"write 5; note pending; write 3; pending +4", "pending is 8, not +4"},
    {"write 5; note pending; write 3; pending +0", "pending is 8, not +0"},
    {"note sent; sent >+0", "not >+0"},
    {"write 5; came written", "came is 0, not written"},
    {"write 5; read 5; came <written", "came is 5, not <written"},
    {"receive 5; received 4", "received is 5, not 4"},
    {"receive 5; largest 4", "largest is 5, not 4"},
    {"closing 1", "closing is 0, not 1"},
    {"reading 0", "reading is 1, not 0"},
    {"running 1", "running is 0, not 1"},
    {"limit idle 60000; timers 0", "timers is 1, not 0"},
    {"once", "rig->lost_count is 0, not == 1"},
    {"abort; lost 0; alive", "rig->lost_count is 1, not == 0"},
    {"events made data", "rig->events is \"made\", not \"made data\""},
    {"receive 5; none data", "strstr"},
    {"are 64K 16001", "is 16384, not == 16001"},
    {"since; after 60000", "not >= 60000000000"},
    {"exception EPROTO data_received", "rig->exception_count is 0, not == 1"},
    {"socket", "fd >= 0"},
    {"no-socket EBADF", "the error is EOPNOTSUPP, not EBADF"},
    {"reset; broken EPIPE", "the error is ECONNRESET, not EPIPE"},
    {"no-file EPIPE", "the error is 0, not EPIPE"},
    {"file 5; send-file; read-file; done EPIPE", "the error is 0, not EPIPE"},
    {"close; usable", "rig_write(rig, 3000) is -108, not == 0"},
    {"receive 5; ran @data 1", "is 0, not == 1"},
    {"write 5; turn; pending 5", "pending is 0, not 5"},
    {"write 5; again 2; pending 5", "pending is 15, not 5"},
    {"receive 5; unless data; pending 1; pending 2", ""},
    {"receive 5; if received >5; pending 1", ""},
    {"receive 5; if received >4; pending 1", "pending is 0, not 1"},
};

static const struct {
    const char *needs;
    const char *text;
    const char *callback;
    const char *said;
} more_rows[] = {
    {"memry", "turn", NULL, "no scene needs 'memry'"},
    {"memory read=", "turn", NULL, "no scene needs 'read='"},
    {"memory !reset", "pending 0", NULL, "no maker has the traits"},
    {"memory", "receive 5", "@data pending 1", "@data >>pending 1<<: "},
    {"memory", "receive 5; receive 5; ran @data 2", "@data! alive",
     "is 1, not == 2"},
    {"memory", "receive 5; receive 5; ran @data 1", "@data alive",
     "is 2, not == 1"},
    {"memory", "send 5; lost 0", "@data fail EPROTO",
     "the error is EPROTO, not 0"},
};

/* @words is the expected message, or NULL if the scene must not fail. */
static void expect_failure(const char *needs, const char *text,
                           const char *callback, const char *words)
{
    char said[4096];
    int ends[2];
    int status;
    size_t len = 0;

    expect_eq(pipe(ends), 0);
    const pid_t pid = fork();
    expect_geq(pid, 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        scene_run(needs, (const char *const[]){text, callback, NULL});
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], said + len, 4095 - len)) > 0;) {
        len += (size_t)got;
    }
    said[len] = '\0';
    close(ends[0]);
    expect_eq(waitpid(pid, &status, 0), pid);
    expect(WIFEXITED(status));
    expect_eq(WEXITSTATUS(status), words[0] ? 1 : 0, "%s: %s", text, said);
    cr_assert(strstr(said, words) != NULL, "'%s' says '%s'", text, said);
}

UNIT(scene_fails, a_step_that_does_not_hold_is_told_with_its_place)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_failure("memory", rows[i].text, NULL, rows[i].said);
    }
    for (size_t i = 0; i < sizeof(more_rows) / sizeof(*more_rows); i++) {
        expect_failure(more_rows[i].needs, more_rows[i].text,
                       more_rows[i].callback, more_rows[i].said);
    }
}
