/*
 * One active check of an upstream.
 *
 * A connection that is the whole check, or that has had no response, is
 * aborted, so that it leaves no state at either end. A connection with a
 * response, or with only a PROXY header, is closed: it ends its stream, and
 * reads the peer's bytes until the peer ends its own, concurrently with later
 * checks.
 */
#include "upstream.h"

#include "kind.h"
#include "weir/proxy_protocol.h"
#include "weir/reader.h"
#include "weir/start_tls.h"
#include "weir/writer.h"

/* Time for which a connection with a response waits for the peer's end. */
#define LINGER_NS UINT64_C(1000000000)
/* If the response does not match so far, the check fails once no bytes arrive
 * for 1/QUIET_PART of the time-out. */
#define QUIET_PART 8u

static int probe_write(weir_writer *writer, const struct wr_check_piece *piece)
{
    wr_assert(piece->data || piece->size == 0);
    return piece->size > 0 ? weir_writer_write(writer, piece->data, piece->size)
                           : 0;
}

static int probe_ask(const struct wr_probe *probe, weir_writer *writer)
{
    struct wr_check_piece pieces[WR_CHECK_PIECES];
    char authority[WR_ENDPOINT_SIZE];

    wr_target_write_authority(probe->target, probe->check, probe->tls,
                              authority);
    const size_t count =
        wr_check_ask(probe->check, &probe->talk, authority, pieces);
    wr_assert(count <= WR_CHECK_PIECES);
    for (size_t i = 0; i < count; i++) {
        const int err = probe_write(writer, &pieces[i]);
        wr_require(err >= 0, err);
    }
    return 0;
}

static ssize_t probe_read(struct wr_probe *probe, weir_reader *reader)
{
    const size_t room = wr_check_get_room(probe->check) - probe->len;

    wr_assert(room > 0); /* a full buffer has a verdict */
    const ssize_t got =
        weir_reader_read(reader, probe->answer + probe->len, room);
    return got == 0 ? -EPROTO : got;
}

/* Limits the time of silence if the response is wrong so far. */
static ssize_t probe_read_on(struct wr_probe *probe, weir_reader *reader)
{
    struct weir_timeout quiet;

    if (!wr_check_is_over_when_quiet(probe->check, &probe->talk, probe->len)) {
        return probe_read(probe, reader);
    }
    /* A failure of this call is also returned by the read. */
    wr_ignore(weir_timeout_begin(probe->own.loop, &quiet,
                                 probe->check->plan.timeout_ns / QUIET_PART));
    const ssize_t got = weir_timeout_end(&quiet, probe_read(probe, reader));
    return got == -ETIMEDOUT ? -EPROTO : got;
}

/* Adds the start of a wrong response to the reason, if the response is text. */
static void probe_note_answer(struct wr_probe *probe)
{
    const enum weir_upstream_check_kind kind = probe->check->plan.kind;

    wr_assert(probe->talk.used <= probe->len);
    if (kind == WEIR_UPSTREAM_CHECK_TEXT ||
        (kind == WEIR_UPSTREAM_CHECK_HTTP && probe->talk.status == 0)) {
        wr_dialogue_note_reason(&probe->talk, probe->answer + probe->talk.used,
                                probe->len - probe->talk.used);
    }
}

static int probe_converse(struct wr_probe *probe, weir_reader *reader,
                          weir_writer *writer)
{
    enum wr_verdict verdict = WR_VERDICT_SAY;

    wr_assert(probe->len == 0);
    while (verdict == WR_VERDICT_SAY || verdict == WR_VERDICT_MORE) {
        if (verdict == WR_VERDICT_SAY) {
            const int err = probe_ask(probe, writer);
            wr_require(err >= 0, err);
        } else {
            const ssize_t got = probe_read_on(probe, reader);
            if (got < 0) {
                probe_note_answer(probe);
                return (int)got;
            }
            probe->len += (size_t)got;
        }
        verdict = wr_check_judge(probe->check, &probe->talk, probe->answer,
                                 probe->len);
    }
    if (verdict == WR_VERDICT_GOOD) {
        return 0;
    }
    probe_note_answer(probe);
    return -EPROTO;
}

static int probe_introduce(const struct wr_probe *probe, weir_writer *writer)
{
    const weir_transport *t = weir_writer_get_transport(writer);
    struct weir_proxy_header header = {
        .size = sizeof(header),
        .version = probe->check->plan.proxy_version,
        .is_local = probe->check->plan.proxy_version == WEIR_PROXY_V2};
    char text[WEIR_PROXY_V1_SIZE_MAX];

    if (!header.is_local) {
        weir_transport_get_sockname(t, &header.source);
        weir_transport_get_peername(t, &header.destination);
    }
    const int len = weir_proxy_header_write(&header, text, sizeof(text));
    wr_require(len >= 0, len);
    wr_assert(len > 0);
    const int err = weir_writer_write(writer, text, (size_t)len);
    wr_require(err >= 0, err);
    if (!probe->tls) {
        return 0;
    }
    const struct weir_tls_settings tls = wr_target_get_tls(probe->tls);
    return weir_writer_start_tls(writer, &tls);
}

static void probe_leave(const struct wr_probe *probe, weir_writer *writer)
{
    const struct weir_timeouts timeouts = {.size = sizeof(timeouts),
                                           .close_ns = 2 * LINGER_NS,
                                           .linger_ns = LINGER_NS};

    wr_assert(probe->own.loop->current != NULL);
    if (wr_check_has_answer(probe->check)) {
        const struct wr_check_piece bye =
            wr_check_bye(probe->check, &probe->talk);
        wr_ignore(probe_write(writer, &bye)); /* the session ends anyway */
    }
    if (weir_transport_set_timeouts(weir_writer_get_transport(writer),
                                    &timeouts) < 0) {
        weir_writer_abort(writer);
    } else {
        weir_writer_close(writer);
    }
}

static int probe_use(struct wr_probe *probe, weir_reader *reader,
                     weir_writer *writer)
{
    const bool has_header = probe->check->plan.proxy_version != 0;
    const bool has_answer = wr_check_has_answer(probe->check);
    wr_assert(reader != NULL);
    int err = has_header ? probe_introduce(probe, writer) : 0;

    if (err >= 0 && has_answer) {
        err = probe_converse(probe, reader, writer);
    }
    if (has_header || has_answer) { /* TLS 1.3 may refuse after the handshake */
        probe->alert =
            wr_transport_get_alert(weir_writer_get_transport(writer));
    }
    const bool is_over = err == 0 || (err == -EPROTO && probe->len > 0);
    if (is_over && (has_header || has_answer)) {
        probe_leave(probe, writer);
    } else {
        weir_writer_abort(writer);
    }
    return err;
}

static int probe_talk(struct wr_probe *probe)
{
    const bool begins_later = probe->check->plan.proxy_version != 0;
    weir_reader *reader;
    weir_writer *writer;
    int err = wr_target_open(probe->target, probe->check,
                             begins_later ? NULL : probe->tls, &probe->alert,
                             &reader, &writer);

    wr_require(err >= 0, err);
    wr_assert(reader != NULL);
    wr_assert(writer != NULL);
    err = probe_use(probe, reader, writer);
    weir_writer_unref(writer);
    return err;
}

static int probe_run(struct wr_own_task *own)
{
    struct wr_probe *probe = wr_container_of(own, struct wr_probe, own);
    struct weir_timeout limit;
    int err =
        weir_timeout_begin(own->loop, &limit, probe->check->plan.timeout_ns);

    wr_assert(err == 0); /* this is a task of the loop */
    err = probe_talk(probe);
    return (int)weir_timeout_end(&limit, err);
}

static void probe_ended(struct wr_own_task *own, int err)
{
    struct wr_probe *probe = wr_container_of(own, struct wr_probe, own);

    wr_assert(err <= 0);
    wr_assert(wr_probe_is_idle(probe));
    probe->ended(probe, err);
}

void wr_probe_init(struct wr_probe *probe, weir_loop *loop,
                   const struct wr_check *check, uint8_t *answer,
                   void (*ended)(struct wr_probe *probe, int err))
{
    wr_assert(ended != NULL);
    *probe =
        (struct wr_probe){.check = check, .ended = ended, .answer = answer};
    wr_own_task_init(&probe->own, loop, probe_run, probe_ended);
}

int wr_probe_start(struct wr_probe *probe, const struct wr_target *target,
                   const struct wr_secure_settings *tls)
{
    wr_assert(wr_probe_is_idle(probe));
    wr_assert(!tls || wr_secure_settings_are_set(tls));
    probe->target = target;
    probe->tls = tls;
    probe->talk = (struct wr_check_talk){.step = 0};
    probe->len = 0;
    probe->alert = NULL;
    return wr_own_task_start(&probe->own, "check of an upstream");
}

void wr_probe_give_up(struct wr_probe *probe)
{
    wr_own_task_cancel(&probe->own);
}
