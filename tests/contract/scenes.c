/*
 * The steps of scenes; see scenes.h.
 *
 * The texts of a scene are parsed once, before its first round, into steps: a
 * verb of the table and its words, each of the kind that the verb takes. While
 * a step runs, the rig's name, which begins each message, is the scene with a
 * mark at the step. So every failure, here or in the rig, shows the step.
 */
#include "tests/contract/scenes.h"

#include "tests/contract/buffered_rig.h"
#include "tests/contract/sending_rig.h"
#include "tests/marks.h"

#include <fcntl.h>
#include <inttypes.h>

enum { WORDS_MAX = 10, STEPS_MAX = 64, TEXTS_MAX = 8, TEXT_MAX = 1024 };

struct step {
    const struct verb *verb;
    const char *words[WORDS_MAX];
    int count;
    int from;
    int to;
};

struct text {
    const char *said;
    char words[TEXT_MAX]; /* a copy, in which each word ends with a zero */
    int callback;
    bool once;
    struct step steps[STEPS_MAX];
    int count;
};

/* A verb of the table. It has @run, or @call with the transport, which returns
 * an error that the first word names, or @act with the rig. Kinds of words; the
 * words after ? are optional: n number or named value, m water mark, e error, v
 * expected value, l name of a value, w how to write, c end of a connection, o
 * event, b callback, f time limit, a how often, * any. */
struct verb {
    const char *word;
    const char *kinds;
    void (*run)(void);
    int (*call)(weir_transport *t);
    void (*act)(struct rig *rig);
};

static struct rig *rig;
static struct text texts[TEXTS_MAX];
static int text_count;
static const struct text *text;
static const struct step *step;
static int result;
static int ran[7];       /* how often each callback's steps have run */
static int rounds;       /* repetitions of the current text by again */
static bool is_repeated; /* the text starts again */
static bool is_cut;      /* the rest of the text is skipped */
static bool is_each;     /* the scene is played with each writing call */
static uint64_t since_ns;
static int socket_seen;
static int first;  /* call that "write" makes at the start of a round */
static int writer; /* call that it makes now */
static const struct weir_buf *shown;
static uint64_t largest;

static struct {
    struct weir_buf buf;
    uint64_t offset;
} kept[4096];
static int kept_count;

static const char *const events[] = {"made", "lost", "pause", "resume",
                                     "data", "eof",  "get"};
static const char *const ends[] = {"NONE", "CLOSED", "EOF", "ABORTED",
                                   "BROKEN"};
static const char *const limits[] = {"idle", "read", "stall", "close",
                                     "linger"};

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))

static int find(const char *const *names, int count, const char *name)
{
    int i = 0;
    while (i < count && strcmp(names[i], name) != 0) {
        i++;
    }
    return i < count ? i : -1;
}

static const char *word(int at)
{
    return at < step->count ? step->words[at] : "";
}

static bool read_number(const char *from, uint64_t *ret)
{
    char *end;
    *ret = strtoull(from, &end, 10);
    const int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 0;
    *ret <<= shift;
    return from[0] >= '0' && from[0] <= '9' && end[shift > 0] == '\0';
}

static const char *name_of(int err)
{
    return err == 0 ? "0" : weir_err_name(err);
}

/* Returns the error with this name, or 1. */
static int find_error(const char *name)
{
    int err = 0;
    while (err > -6000 && strcmp(name_of(err), name) != 0) {
        err--;
    }
    return err > -6000 ? err : 1;
}

/* Returns true if every name separated by | is the name of an error; with
 * @wanted below 1, if one of them is the name of that error. */
static bool has_error(const char *names, int wanted)
{
    char copy[64];
    char *rest = copy;
    bool is_wanted = false;
    bool all = true;
    snprintf(copy, sizeof(copy), "%s", names);
    for (const char *one; (one = strtok_r(rest, "|", &rest));) {
        is_wanted |= strcmp(one, name_of(wanted)) == 0;
        all &= wanted < 1 || find_error(one) < 1;
    }
    return wanted < 1 ? is_wanted : all;
}

static void told(int err, int at)
{
    const char *names = at < step->count ? word(at) : "0";
    cr_assert(strcmp(names, "any") == 0 || has_error(names, err),
              "%s: the error is %s, not %s", rig_name(), name_of(err), names);
}

static const char *const values[] = {
    "came",    "fed",     "received",    "written", "pending",    "held",
    "closing", "reading", "can-eof",     "running", "exceptions", "largest",
    "keeping", "asked",   "updated",     "owed",    "released",   "offered",
    "hint",    "timers",  "leases",      "charged", "arrived",    "submitted",
    "sent",    "copied",  "to-protocol", "told-of", "file-sent",  "before-loss",
};

static uint64_t look(int which)
{
    const struct weir_loop_statistics now = rig_statistics(rig);
    const uint64_t all[COUNT(values)] = {
        rig->peer_received,
        rig->peer_sent,
        rig->received,
        rig->written,
        rig_pending(rig),
        weir_transport_get_read_buffer_size(rig->t),
        weir_transport_is_closing(rig->t),
        weir_transport_is_reading(rig->t),
        weir_transport_can_write_eof(rig->t),
        weir_loop_is_running(rig->loop),
        (uint64_t)rig->exception_count,
        largest,
        (uint64_t)kept_count,
        (uint64_t)buffered.get_count,
        (uint64_t)buffered.updated_count,
        (uint64_t)(buffered.get_count - buffered.updated_count),
        (uint64_t)buffered.released_count,
        buffered.out,
        buffered.hint_max,
        now.timers,
        now.leases,
        now.held_bytes,
        now.received_bytes,
        now.submitted,
        now.sent_bytes,
        now.copied_by_write + now.copied_by_compaction,
        now.copied_to_protocol,
        (uint64_t)sending.calls,
        sending.sent,
        sending.before_loss,
    };
    return all[which];
}

static uint64_t noted[COUNT(values)];

static bool is_amount(const char *said)
{
    uint64_t ignored;
    return find(values, COUNT(values), said) >= 0 ||
           read_number(said, &ignored);
}
static uint64_t amount(const char *said)
{
    const int which = find(values, COUNT(values), said);
    uint64_t ret = 0;
    if (which >= 0) {
        return look(which);
    }
    expect(read_number(said, &ret));
    return ret;
}
static uint64_t number(int at)
{
    return at < step->count ? amount(word(at)) : 1;
}
static int64_t mark(int at)
{
    return strcmp(word(at), "default") == 0 ? WEIR_DEFAULT
           : strcmp(word(at), "max") == 0   ? INT64_MAX
           : strcmp(word(at), "-1") == 0    ? -1
                                            : (int64_t)number(at);
}

static int value(int at)
{
    return find(values, COUNT(values), word(at));
}
static void do_note(void)
{
    noted[value(1)] = look(value(1));
}

static bool is_value(int which, int at)
{
    const char *const wanted = word(at);
    const uint64_t seen = look(which);
    if (strcmp(wanted, "kept") == 0) {
        return seen == rig->written || rig_can(rig, RIG_CAN_RESET);
    }
    const char *const rest = wanted + strspn(wanted, "<>=");
    const uint64_t count =
        rest[0] == '+' ? noted[which] + amount(rest + 1) : amount(rest);
    const bool is_equal = seen == count && (wanted[0] < '<' || rest[-1] == '=');
    return wanted[0] == '<'   ? seen < count || is_equal
           : wanted[0] == '>' ? seen > count || is_equal
                              : seen == count;
}
static void do_value(void)
{
    cr_assert(is_value(value(0), 1), "%s: %s is %llu, not %s", rig_name(),
              word(0), (unsigned long long)look(value(0)), word(1));
}
static void do_until(void)
{
    RUN_UNTIL(rig->loop, is_value(value(1), 2));
}

static int write_lines(struct rig *of, size_t len)
{
    uint8_t *buf = malloc(len + 1);
    expect(buf != NULL);
    rig_pattern(buf, of->written, len);
    const struct iovec iov[] = {
        {buf, len / 3}, {NULL, 0}, {buf + len / 3, len - len / 3}, {buf, 0}};
    const int err = weir_transport_writelines(of->t, iov, 4);
    of->written += err == 0 ? len : 0;
    free(buf);
    return err;
}

/* The release callback frees the memory; the allocator complains if that
 * happens twice. */
static int write_by_reference(struct rig *of, size_t len)
{
    uint8_t *buf = malloc(len + 1);
    expect(buf != NULL);
    rig_pattern(buf, of->written, len);
    const int err = weir_transport_write_ref(of->t, buf, len, free, buf);
    of->written += err == 0 ? len : 0;
    return err;
}

static int (*const writers[])(struct rig *, size_t) = {rig_write, write_lines,
                                                       write_by_reference};
static const char *const by[] = {"write", "lines", "ref"};

static void do_by(void)
{
    writer = find(by, COUNT(by), word(1));
}
static void do_write(void)
{
    told(writers[writer](rig, number(1)), 2);
}
static void do_marks(void)
{
    told(set_marks(rig->t, mark(1), mark(2)), 3);
}
static void do_hard(void)
{
    told(weir_transport_set_write_hard_limit(rig->t, number(1)), 2);
}
static void do_fail(void)
{
    result = find_error(word(1));
}
static void do_keep(void)
{
    expect_lt(kept_count, COUNT(kept));
    expect(shown->lease != NULL);
    kept[kept_count].buf = *shown;
    kept[kept_count].offset = rig->received - shown->len;
    expect_eq(weir_buf_ref(&kept[kept_count++].buf), 0);
}
static void do_give(void)
{
    while (kept_count > 0) {
        const struct weir_buf *const buf = &kept[--kept_count].buf;
        expect(rig_is_pattern(buf->data, kept[kept_count].offset, buf->len));
        weir_buf_unref(buf->lease);
    }
}
static void do_file(void)
{
    own_file(rig, number(1));
}
static void do_send_file(void)
{
    begin_sending(rig, rig->file, step->count > 1 ? number(1) : WEIR_TO_END);
}
static void no_done(void *arg, weir_transport *t, int err, uint64_t sent)
{
    cr_assert_fail("done of a call that failed");
}
static void do_no_file(void)
{
    const int fd = pattern_file(10);
    told(weir_transport_sendfile(rig->t, fd, 0, 10, no_done, NULL), 1);
    close(fd);
}
static void do_done(void)
{
    wait_done(rig);
    told(sending.err, 1);
}
static void do_memory(void)
{
    buffered.size = number(1);
}
static void do_buffer(void)
{
    told(weir_transport_set_read_buffer_limit(rig->t, number(1)), 2);
}
static uint64_t *limit_of(struct weir_timeouts *of, const char *name)
{
    uint64_t *const fields[] = {&of->idle_ns, &of->read_ns, &of->write_stall_ns,
                                &of->close_ns, &of->linger_ns};
    const int which = find(limits, COUNT(limits), name);
    return which >= 0 ? fields[which] : NULL;
}
static void do_limit(void)
{
    struct weir_timeouts set = {.size = sizeof(set)};
    for (int at = 1; at < step->count; at += 2) {
        *limit_of(&set, word(at)) = number(at + 1) * RIG_MS;
    }
    expect_ok(
        weir_transport_set_timeouts(rig->t, step->count > 1 ? &set : NULL));
}
static void do_busy(void)
{
    const uint64_t until_ns = rig_now_ns() + number(1) * RIG_MS;
    while (rig_now_ns() < until_ns) {
    }
}

static void do_send(void)
{
    rig_peer_send(rig, number(1));
}
/* Sends until the peer cannot, for as long as the loop turns, and until at
 * least @1 bytes are held. */
static void do_flood(void)
{
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    uint8_t buf[4096];
    int idle = 0;
    while (idle < 20 ||
           weir_transport_get_read_buffer_size(rig->t) < number(1)) {
        expect(rig_now_ns() < until_ns);
        rig_pattern(buf, rig->peer_sent, sizeof(buf));
        const ssize_t sent = send(rig->peer, buf, sizeof(buf), MSG_NOSIGNAL);
        if (sent < 0) {
            expect_eq(errno, EAGAIN);
            rig_turn_for(rig, RIG_MS);
            idle++;
            continue;
        }
        rig->peer_sent += (uint64_t)sent;
        idle = 0;
    }
}
static void do_receive(void)
{
    rig_receive(rig, number(1));
}
static void do_there(void)
{
    rig_peer_await(rig, (int)number(1));
}
static void do_read(void)
{
    rig_peer_read(rig, number(1));
}
static void do_end(void)
{
    const int err = rig_peer_read_end(rig);
    expect(err <= 0);
    if (strcmp(word(1), "reset") == 0) {
        expect_eq(err, rig_can(rig, RIG_CAN_RESET) ? -ECONNRESET : 0);
    } else {
        told(err, 1);
    }
}

static void do_turn(void)
{
    rig_turns(rig, (int)number(1));
}
static void do_run(void)
{
    rig_turn_for(rig, number(1) * RIG_MS);
}
static void do_since(void)
{
    since_ns = rig_now_ns();
}
static void do_after(void)
{
    expect_geq(rig_now_ns() - since_ns, number(1) * RIG_MS);
}
static void set_true(void *arg)
{
    *(bool *)arg = true;
}
/* Waits in the kernel, which takes few iterations. */
static void do_rest(void)
{
    bool over = false;
    const uint64_t before = rig_statistics(rig).turns;
    expect_ok(weir_loop_call_later(rig->loop, number(1) * RIG_MS, set_true,
                                   &over, NULL));
    RUN_UNTIL(rig->loop, over);
    expect_lt(rig_statistics(rig).turns - before, 20);
}

static void do_lost(void)
{
    rig_wait_lost(rig);
    told(rig->lost_err, 1);
    if (step->count > 2) {
        expect_str_eq(ends[weir_transport_get_end(rig->t)], word(2));
    }
}
static void do_once(void)
{
    rig_turns(rig, 3);
    expect_eq(rig->lost_count, 1);
    expect_eq(rig_pending(rig), 0);
}
static void do_alive(void)
{
    expect_eq(rig->lost_count, 0);
}
static void do_event(void)
{
    rig_wait_event(rig, word(1));
}
static void do_none(void)
{
    expect(strstr(rig->events, word(1)) == NULL);
}
static void do_events(void)
{
    char wanted[TEXT_MAX] = "";
    for (int at = 1; at < step->count; at++) {
        snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted),
                 "%s%s", at > 1 ? " " : "", word(at));
    }
    expect_str_eq(rig->events, wanted);
}
static void do_error(void)
{
    char said[256];
    const int err = weir_transport_get_error(rig->t);
    told(err, 1);
    weir_transport_get_error_text(rig->t, said, sizeof(said));
    expect(err == 0 || strstr(said, weir_strerror(err)) != NULL);
}
static void do_broken(void)
{
    RUN_UNTIL(rig->loop, weir_transport_get_error(rig->t) != 0);
    do_error();
}
static void do_are(void)
{
    const struct weir_water_marks are =
        weir_transport_get_write_buffer_limits(rig->t);
    expect_eq(are.high_bytes, mark(1));
    expect_eq(are.low_bytes, mark(2));
}
static void do_exception(void)
{
    expect_eq(rig->exception_count, 1);
    told(rig->exception_err, 1);
    expect_str_eq(rig->exception_callback, word(2));
}
static void do_socket(void)
{
    const int fd = weir_transport_get_socket(rig->t);
    expect(fd >= 0);
    expect_geq(fcntl(fd, F_GETFD), 0);
    socket_seen = fd;
}
static void do_no_socket(void)
{
    told(weir_transport_get_socket(rig->t), 1);
    expect_lt(fcntl(socket_seen, F_GETFD), 0);
}
static void do_ran(void)
{
    expect_eq(ran[find(events, COUNT(events), word(1) + 1)], number(2));
}

static void do_again(void)
{
    const int which = value(1);
    is_repeated = strcmp(word(1), "lost") == 0 ? rig->lost_count == 0
                  : which >= 0                 ? !is_value(which, 2)
                                               : rounds < (int)number(1);
    expect_lt(++rounds, 10000);
}
static void do_if(void)
{
    is_cut = !is_value(value(1), 2);
}
static void do_unless(void)
{
    is_cut = strstr(rig->events, word(1)) != NULL;
}

static const struct verb verbs[] = {
    /* actions of the program */
    {"by", "w", .run = do_by},
    {"write", "n?e", .run = do_write},
    {"clog", "", .act = rig_clog},
    {"eof", "?e", .call = weir_transport_write_eof},
    {"close", "?e", .call = weir_transport_close},
    {"abort", "?e", .call = weir_transport_abort},
    {"pause", "?e", .call = weir_transport_pause_reading},
    {"resume", "?e", .call = weir_transport_resume_reading},
    {"told", "e", .call = weir_transport_take_write_error},
    {"marks", "mm?e", .run = do_marks},
    {"hard", "n?e", .run = do_hard},
    {"limit", "?fnfn", .run = do_limit},
    {"fail", "e", .run = do_fail},
    {"file", "n", .run = do_file},
    {"send-file", "?n", .run = do_send_file},
    {"no-file", "e", .run = do_no_file},
    {"cancel", "?e", .call = weir_transport_cancel_sendfile},
    {"usable", "", .act = expect_usable},
    {"memory", "n", .run = do_memory},
    {"buffer", "n?e", .run = do_buffer},
    {"keep", "", .run = do_keep},
    {"give", "", .run = do_give},
    {"busy", "n", .run = do_busy},
    /* actions of the peer */
    {"send", "n", .run = do_send},
    {"receive", "n", .run = do_receive},
    {"flood", "n", .run = do_flood},
    {"there", "n", .run = do_there},
    {"arrive", "", .act = rig_wait_arrived},
    {"read", "n", .run = do_read},
    {"read-end", "?e", .run = do_end},
    {"read-file", "", .act = read_until_done},
    {"shutdown", "", .act = rig_peer_shutdown},
    {"leave", "", .act = rig_peer_close},
    {"reset", "", .act = rig_peer_reset},
    /* time */
    {"turn", "?n", .run = do_turn},
    {"run", "n", .run = do_run},
    {"rest", "n", .run = do_rest},
    {"since", "", .run = do_since},
    {"after", "n", .run = do_after},
    /* expectations */
    {"lost", "e?c", .run = do_lost},
    {"done", "e", .run = do_done},
    {"once", "", .run = do_once},
    {"alive", "", .run = do_alive},
    {"event", "o", .run = do_event},
    {"events", "?oooooooo", .run = do_events},
    {"none", "o", .run = do_none},
    {"error", "e", .run = do_error},
    {"broken", "e", .run = do_broken},
    {"are", "mm", .run = do_are},
    {"exception", "e*", .run = do_exception},
    {"socket", "", .run = do_socket},
    {"no-socket", "e", .run = do_no_socket},
    {"ran", "bn", .run = do_ran},
    /* values */
    {"note", "l", .run = do_note},
    {"until", "lv", .run = do_until},
    /* order of a text */
    {"again", "a?v", .run = do_again},
    {"if", "lv", .run = do_if},
    {"unless", "o", .run = do_unless},
};

static const struct verb a_value = {"", "v", .run = do_value};

static const struct verb *find_verb(const char *name)
{
    int i = 0;
    while (i < COUNT(verbs) && strcmp(verbs[i].word, name) != 0) {
        i++;
    }
    return i < COUNT(verbs)                         ? &verbs[i]
           : find(values, COUNT(values), name) >= 0 ? &a_value
                                                    : NULL;
}

static bool fits(char kind, const char *said)
{
    static const char *const marks[] = {"default", "max", "-1"};
    const char *const rest = said + strspn(said, "<>=");
    switch (kind) {
    case 'a':
        return strcmp(said, "lost") == 0 || is_amount(said);
    case 'n':
        return is_amount(said);
    case 'm':
        return find(marks, COUNT(marks), said) >= 0 || is_amount(said);
    case 'v':
        return strcmp(said, "kept") == 0 || is_amount(rest + (rest[0] == '+'));
    case 'e':
        return strcmp(said, "any") == 0 || strcmp(said, "reset") == 0 ||
               has_error(said, 1);
    case 'l':
        return find(values, COUNT(values), said) >= 0;
    case 'w':
        return find(by, COUNT(by), said) >= 0;
    case 'c':
        return find(ends, COUNT(ends), said) >= 0;
    case 'b':
        return said[0] == '@' && find(events, COUNT(events), said + 1) >= 0;
    case 'o':
        return find(events, COUNT(events), said) >= 0;
    case 'f':
        return find(limits, COUNT(limits), said) >= 0;
    default:
        return true;
    }
}

static void check_step(const struct step *of)
{
    cr_assert(of->verb != NULL, "'%s' is no step", of->words[0]);
    bool may_end = false;
    int at = 1;
    for (const char *kind = of->verb->kinds; *kind; kind++) {
        if (*kind == '?') {
            may_end = true;
        } else if (at < of->count) {
            cr_assert(fits(*kind, of->words[at]), "'%s' cannot have '%s'",
                      of->words[0], of->words[at]);
            at++;
        } else {
            cr_assert(may_end, "'%s' lacks a word", of->words[0]);
        }
    }
    cr_assert_eq(at, of->count, "'%s' has a word too many", of->words[0]);
}

static void read_text(struct text *ret, const char *said)
{
    *ret = (struct text){.said = said, .callback = -1};
    cr_assert_lt(strlen(said), TEXT_MAX);
    strcpy(ret->words, said);
    char *at = ret->words;
    if (*at == '@') {
        const size_t len = strcspn(at, " ");
        ret->once = at[len - 1] == '!';
        at[len] = '\0';
        at[len - ret->once] = '\0';
        ret->callback = find(events, COUNT(events), at + 1);
        cr_assert_geq(ret->callback, 0, "'%s' is no callback", at);
        at += len + 1;
    }
    while (*at) {
        struct step *const next = &ret->steps[ret->count++];
        cr_assert_leq(ret->count, STEPS_MAX);
        const size_t len = strcspn(at, ";");
        char *rest = at;
        at += len + (at[len] == ';');
        rest[len] = '\0';
        next->from = (int)(rest - ret->words);
        next->to = next->from + (int)len;
        for (char *one; (one = strtok_r(rest, " ", &rest));) {
            cr_assert_lt(next->count, WORDS_MAX);
            next->words[next->count++] = one;
        }
        cr_assert_gt(next->count, 0, "a step without a word: '%s'", said);
        next->verb = find_verb(next->words[0]);
        check_step(next);
    }
}

static void show_place(void)
{
    static char place[TEXT_MAX + 128];
    if (step) {
        snprintf(place, sizeof(place), "%s, by %s: %.*s>>%.*s<<%s",
                 rig->maker->name, by[writer], step->from, text->said,
                 step->to - step->from, text->said + step->from,
                 text->said + step->to);
    }
    rig_set_name(step ? place : rig->maker->name);
}

static void play_text(const struct text *what)
{
    const struct text *const outer_text = text;
    const struct step *const outer_step = step;
    const int outer_rounds = rounds;
    text = what;
    rounds = 0;
    for (int at = 0; at < what->count && !is_cut; at++) {
        step = &what->steps[at];
        show_place();
        const struct verb *const verb = step->verb;
        if (verb->call) {
            told(verb->call(rig->t), 1);
        } else if (verb->act) {
            verb->act(rig);
        } else {
            verb->run();
        }
        at = is_repeated ? -1 : at;
        is_repeated = false;
    }
    is_cut = false;
    rounds = outer_rounds;
    text = outer_text;
    step = outer_step;
    show_place();
}

static int play_callback(int which, int otherwise)
{
    const int outer_result = result;
    result = otherwise;
    for (int i = 0; i < text_count; i++) {
        if (texts[i].callback == which && !(texts[i].once && ran[which] > 0)) {
            ran[which]++;
            play_text(&texts[i]);
        }
    }
    const int ret = result;
    result = outer_result;
    return ret;
}

static void on_made(struct rig *of)
{
    rig = of;
    memset(ran, 0, sizeof(ran));
    reset_buffered(rig, sizeof(buffered.memory));
    largest = 0;
    socket_seen = -1;
    play_callback(0, 0);
}
static void on_lost(struct rig *of)
{
    play_callback(1, 0);
}
static void on_pause(struct rig *of)
{
    play_callback(2, 0);
}
static void on_resume(struct rig *of)
{
    play_callback(3, 0);
}
static int on_data(struct rig *of, const struct weir_buf *buf)
{
    shown = buf;
    largest = buf->len > largest ? buf->len : largest;
    return play_callback(4, 0);
}
static int on_eof(struct rig *of)
{
    return play_callback(5, of->eof_result);
}

static int get_buffer(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size)
{
    const int err = play_callback(6, 0);
    return err < 0 ? err : buffered_get(user, t, hint, ret_buf, ret_size);
}

static void play(struct rig *of)
{
    writer = first;
    for (int i = 0; i < text_count; i++) {
        if (texts[i].callback < 0) {
            play_text(&texts[i]);
        }
    }
    do_give();
}

static const struct {
    const char *word;
    unsigned int bits;
} traits[] = {
    {"both", RIG_BOTH_WAYS},   {"receives", RIG_RECEIVES},
    {"sends", RIG_SENDS},      {"plain", RIG_IS_PLAIN},
    {"memory", RIG_IS_MEMORY}, {"kernel", RIG_HAS_KERNEL},
    {"reset", RIG_CAN_RESET},  {"break", RIG_CAN_BREAK},
    {"pipe", RIG_IS_PIPE},     {"tls", RIG_IS_TLS},
    {"nested", RIG_IS_NESTED},
};

static void read_need(struct rig *own, const char *need)
{
    struct weir_connection_options *const options = &own->connection;
    const bool must_not = need[0] == '!';
    static struct weir_protocol protocol;
    uint64_t count;
    char name[16];
    for (int i = 0; i < COUNT(traits); i++) {
        if (strcmp(traits[i].word, need + must_not) == 0) {
            *(must_not ? &own->lacks : &own->needs) |= traits[i].bits;
            return;
        }
    }
    if (strcmp(need, "each") == 0) {
        is_each = true;
    } else if (strcmp(need, "wide") == 0) {
        own->small_buffers = false;
    } else if (strcmp(need, "copied") == 0 || strcmp(need, "in-place") == 0) {
        protocol = make_buffered(strcmp(need, "in-place") == 0);
        protocol.get_buffer = get_buffer;
        own->protocol = &protocol;
    } else if (sscanf(need, "%15[a-z]-ms=%" SCNu64, name, &count) == 2 &&
               limit_of(&options->timeouts, name)) {
        *limit_of(&options->timeouts, name) = count * RIG_MS;
    } else {
        cr_assert(sscanf(need, "eof=%d", &own->eof_result) == 1 ||
                      sscanf(need, "read=%" SCNu64,
                             &options->read_limit_bytes) == 1 ||
                      sscanf(need, "hard=%" SCNu64,
                             &options->write_hard_limit_bytes) == 1,
                  "no scene needs '%s'", need);
    }
}

void scene_run(const char *needs, const char *const *said)
{
    struct rig own = {
        .small_buffers = true,
        .connection = {.size = sizeof(own.connection),
                       .timeouts = {.size = sizeof(own.connection.timeouts)}},
        .hooks = {on_made, on_lost, on_pause, on_resume, on_data, on_eof}};
    char copy[128];
    char *rest = copy;
    snprintf(copy, sizeof(copy), "%s", needs);
    for (char *one; (one = strtok_r(rest, " ", &rest));) {
        read_need(&own, one);
    }
    for (text_count = 0; said[text_count]; text_count++) {
        cr_assert_lt(text_count, TEXTS_MAX);
        read_text(&texts[text_count], said[text_count]);
    }
    for (first = 0; first < (is_each ? COUNT(writers) : 1); first++) {
        rig_rounds(&own, RIG_BOTH_WAYS, play);
    }
}
