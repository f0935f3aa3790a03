/*
 * Lists the connections with the most bytes. In texts of the configuration and
 * of peers, bytes that would end a field or a line, or control a terminal,
 * become '?'.
 */
#include "status.h"

#include "tools/weir-proxy/runtime/session.h"
#include "tools/weir-proxy/runtime/setup.h"
#include "tools/weir-proxy/runtime/worker.h"

#include <string.h>

static struct weir_relay_record ask_relay(const struct session *session)
{
    struct weir_relay_record record = {.size = sizeof(record)};

    if (session->target && session->pending) {
        weir_relay_get_record(session->pending, &record);
    }
    return record;
}

static uint64_t bytes_of(const struct record *record)
{
    return record->in_bytes + record->out_bytes;
}

static void describe(const struct session *session,
                     const struct weir_relay_record *relay, struct record *ret)
{
    const bool is_relayed = relay->start_ns > 0;

    session_describe(session, is_relayed ? relay : NULL, ret);
    ret->server_name = NULL; /* these texts belong to the session */
    ret->tls_version = NULL;
    ret->tls_group = NULL;
    ret->client_cn = NULL;
    ret->state = is_relayed                              ? "relayed"
                 : session->place.state == PLACE_WAITING ? "waiting"
                 : session->route                        ? "connecting"
                                                         : "opening";
}

static void consider(struct status *status, const struct session *session)
{
    const struct weir_relay_record relay = ask_relay(session);
    const uint64_t bytes = relay.a_bytes + relay.b_bytes;
    size_t at = status->count;

    if (at == STATUS_LISTED) {
        if (bytes_of(&status->listed[at - 1].record) >= bytes) {
            return;
        }
        setup_unref(status->listed[--at].setup);
    } else {
        status->count++;
    }
    for (; at > 0 && bytes_of(&status->listed[at - 1].record) < bytes; at--) {
        status->listed[at] = status->listed[at - 1];
    }
    describe(session, &relay, &status->listed[at].record);
    status->listed[at].setup =
        setup_ref(session->door->service->services->setup);
}

void status_gather(void *arg, weir_thread *thread)
{
    struct status *status = arg;
    const struct link *link =
        worker_at(status->metrics.proxy, thread)->sessions.oldest;

    metrics_gather(&status->metrics, thread);
    for (size_t i = 0; link && i < STATUS_LOOKED_AT; i++) {
        consider(status, (const struct session *)link);
        link = link->younger;
    }
}

static void write_word(FILE *out, const char *text)
{
    for (; *text; text++) {
        fputc(*text >= ' ' && *text < 127 ? *text : '?', out);
    }
}

static void write_value(FILE *out, const struct field *field,
                        const void *object)
{
    char text[WEIR_ADDRESS_TEXT_SIZE] = "";

    if (!field_has_value(field, object)) {
        fputc('-', out);
    } else if (field->kind == FIELD_ADDRESS) {
        write_word(out, weir_address_format(field_value(field, object), text,
                                            sizeof(text)));
    } else if (field->kind == FIELD_NAME) {
        write_word(out, field_text(field, object));
    } else {
        const uint64_t number = field_number(field, object);
        const bool is_time =
            field->kind == FIELD_MS || field->kind == FIELD_MS_IF_1;
        fprintf(out, "%llu",
                (unsigned long long)(is_time ? number / 1000000 : number));
    }
}

static const struct field *find_field(enum field_of of, int word)
{
    size_t i = 0;

    while (i < fields_count &&
           (fields[i].of != of || fields[i].status != word)) {
        i++;
    }
    return i < fields_count ? &fields[i] : NULL;
}

static void write_line(FILE *out, const char *kind, enum field_of of,
                       const void *object)
{
    const struct field *field;

    fputs(kind, out);
    for (int word = 1; (field = find_field(of, word)); word++) {
        fputc('\t', out);
        write_value(out, field, object);
    }
    fputc('\n', out);
}

static void write_lines(FILE *out, const char *kind, enum field_of of,
                        const struct metrics *metrics)
{
    const void *object;

    for (size_t i = 0; (object = metrics_object(metrics, of, i)); i++) {
        write_line(out, kind, of, object);
    }
}

void status_write(const struct status *status, FILE *out)
{
    const struct metrics *metrics = &status->metrics;
    const struct proxy *proxy = metrics->proxy;

    write_lines(out, "proxy", OF_PROGRAM, metrics);
    if (proxy->confinement.is_confined) {
        fputs("confined\t", out);
        confine_write(&proxy->confinement, proxy->setup->config, '\t', out);
        fputc('\n', out);
    }
    write_lines(out, "service", OF_SERVICE, metrics);
    write_lines(out, "target", OF_TARGET, metrics);
    for (size_t i = 0; i < status->count; i++) {
        write_line(out, "connection", OF_CONNECTION, &status->listed[i].record);
    }
}

void status_free(struct status *status)
{
    metrics_free(&status->metrics);
    while (status->count > 0) {
        setup_unref(status->listed[--status->count].setup);
    }
}

static void write_sentence(FILE *out, enum field_of of, const void *object)
{
    for (size_t i = 0; i < fields_count; i++) {
        const struct field *field = &fields[i];
        if (field->of != of || !field->ctl || !field_has_value(field, object)) {
            continue;
        }
        const size_t len = strcspn(field->ctl, "%");
        fwrite(field->ctl, 1, len, out);
        write_value(out, field, object);
        fputs(field->ctl + len + 1, out);
    }
    fputc('\n', out);
}

void status_answer(const struct metrics *metrics, FILE *out)
{
    const struct address_facts *address;
    const struct target_facts *target;
    size_t at = 0;

    for (size_t i = 0; (target = metrics_object(metrics, OF_TARGET, i)); i++) {
        write_sentence(out, OF_TARGET, target);
        while ((address = metrics_object(metrics, OF_ADDRESS, at)) &&
               address->target == target) {
            write_sentence(out, OF_ADDRESS, address);
            at++;
        }
    }
}
