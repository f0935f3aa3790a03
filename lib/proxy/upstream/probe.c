/*
 * One active check of an upstream.
 *
 * Its connection is aborted as soon as the result is known, so that a check
 * leaves nothing behind at either end. The peer sees a reset then, after an
 * answer too.
 */
#include "probe.h"

#include "lib/transport/transport.h"
#include "weir/reader.h"
#include "weir/writer.h"

static bool probe_has_tls(const struct wr_probe *probe)
{
    return !wr_check_is_bare(probe->check) && !probe->check->plan.no_tls;
}

static int probe_ask(const struct wr_probe *probe, weir_writer *writer)
{
    struct wr_check_piece pieces[WR_CHECK_PIECES];
    char authority[WR_PLACE_SIZE];

    wr_target_write_authority(probe->target, probe->check->plan.port,
                              probe_has_tls(probe), authority);
    const size_t count = wr_check_ask(probe->check, authority, pieces);
    for (size_t i = 0; i < count; i++) {
        const int err =
            weir_writer_write(writer, pieces[i].data, pieces[i].size);
        wr_require(err >= 0, err);
    }
    return 0;
}

/* Reads the answer until there is a verdict. */
static int probe_judge(struct wr_probe *probe, weir_reader *reader)
{
    const size_t room = wr_check_get_room(probe->check);
    enum wr_verdict verdict = WR_VERDICT_MORE;
    size_t len = 0;

    while (verdict == WR_VERDICT_MORE) {
        wr_assert(len < room); /* a full one has a verdict */
        const ssize_t got =
            weir_reader_read(reader, probe->answer + len, room - len);
        wr_require(got >= 0, (int)got);
        wr_require(got > 0, -EPROTO);
        len += (size_t)got;
        verdict =
            wr_check_judge(probe->check, probe->answer, len, &probe->status);
    }
    return verdict == WR_VERDICT_GOOD ? 0 : -EPROTO;
}

static int probe_talk(struct wr_probe *probe)
{
    weir_reader *reader;
    weir_writer *writer;
    int err =
        wr_target_open(probe->target, probe->check->plan.port,
                       probe_has_tls(probe), &probe->alert, &reader, &writer);

    wr_require(err >= 0, err);
    wr_assert(reader != NULL);
    wr_assert(writer != NULL);
    if (wr_check_has_answer(probe->check)) {
        err = probe_ask(probe, writer);
        err = err < 0 ? err : probe_judge(probe, reader);
        probe->alert =
            wr_transport_get_alert(/* TLS 1.3 refuses as late */
                                   weir_writer_get_transport(writer));
    }
    weir_writer_abort(writer);
    weir_writer_unref(writer);
    return err;
}

static int probe_run(struct wr_own_task *own)
{
    struct wr_probe *probe = wr_container_of(own, struct wr_probe, own);
    struct weir_timeout limit;
    int err =
        weir_timeout_begin(own->loop, &limit, probe->check->plan.timeout_ns);

    wr_assert(err == 0); /* it is a task of this loop */
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

int wr_probe_start(struct wr_probe *probe, const struct wr_target *target)
{
    wr_assert(wr_probe_is_idle(probe));
    probe->target = target;
    probe->status = 0;
    probe->alert = NULL;
    return wr_own_task_start(&probe->own, "check of an upstream");
}

void wr_probe_give_up(struct wr_probe *probe)
{
    wr_own_task_cancel(&probe->own);
}
