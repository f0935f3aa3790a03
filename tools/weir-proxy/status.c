/*
 * Connections are compared by bytes, which their relays report. Addresses are
 * read only for those in the list. In texts of the configuration and of peers,
 * bytes that would end a field or a line, or control a terminal, become '?'.
 */
#include "status.h"

#include "session.h"
#include "setup.h"

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
                     const struct weir_relay_record *relay,
                     struct status_connection *ret)
{
    const bool is_relayed = relay->start_ns > 0;

    session_describe(session, is_relayed ? relay : NULL, &ret->record);
    ret->record.server_name = NULL; /* these texts belong to the session */
    ret->record.tls_version = NULL;
    ret->record.tls_group = NULL;
    ret->record.client_cn = NULL;
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
        at--;
    } else {
        status->count++;
    }
    for (; at > 0 && bytes_of(&status->listed[at - 1].record) < bytes; at--) {
        status->listed[at] = status->listed[at - 1];
    }
    describe(session, &relay, &status->listed[at]);
}

void status_gather(void *arg, weir_thread *thread)
{
    struct status *status = arg;
    const struct proxy *proxy = status->metrics->proxy;
    const struct link *link =
        proxy->workers[weir_thread_get_index(thread)].sessions.oldest;

    metrics_gather(status->metrics, thread);
    for (size_t i = 0; link && i < STATUS_LOOKED_AT; i++) {
        consider(status, (const struct session *)link);
        link = link->younger;
    }
}

static void word(FILE *out, const char *text)
{
    fputc('\t', out);
    for (; *text; text++) {
        fputc(*text >= ' ' && *text < 127 ? *text : '?', out);
    }
}

static void number(FILE *out, uint64_t number)
{
    fprintf(out, "\t%llu", (unsigned long long)number);
}

static void address(FILE *out, const struct weir_address *address)
{
    char text[WEIR_ADDRESS_TEXT_SIZE];

    word(out, address->len > 0
                  ? weir_address_format(address, text, sizeof(text))
                  : "-");
}

static void write_proxy(const struct metrics *metrics, FILE *out)
{
    const struct proxy *proxy = metrics->proxy;

    fputs("proxy", out);
    number(out, proxy->worker_count);
    word(out, proxy->workers[0].is_draining ? "drains" : "serves");
    number(out, metrics->loops.received_bytes);
    number(out, metrics->loops.sent_bytes);
    number(out, metrics_buffer_bytes(metrics));
    number(out, metrics->loops.memory_bytes);
    number(out, proxy->memory_limit_bytes);
    fputc('\n', out);
}

static void write_confinement(const struct proxy *proxy, FILE *out)
{
    if (proxy->confinement.is_confined) {
        fputs("confined\t", out);
        confine_write(&proxy->confinement, proxy->setup->config, '\t', out);
        fputc('\n', out);
    }
}

static void write_service(const struct metrics *metrics, size_t index,
                          FILE *out)
{
    const struct counts *counts = &metrics->services[index];
    uint64_t errors = 0;

    for (int i = 0; i < END_REASONS; i++) {
        errors += i == END_DONE ? 0 : counts->ended[i];
    }
    fputs("service", out);
    word(out, metrics->setup->config->services[index].name);
    number(out, counts->active);
    number(out, metrics->queued[index]);
    number(out, counts->accepted);
    number(out, errors);
    fputc('\n', out);
}

const char *status_word_of(const struct order *order,
                           const struct config_target *target,
                           const struct target_sum *sum)
{
    const char *ordered = orders_word(order, target);

    return ordered ? ordered : sum->is_up ? "up" : "down";
}

static void write_target(const struct config_service *service,
                         const struct config_route *route, size_t index,
                         const struct order *order,
                         const struct target_sum *sum, FILE *out)
{
    fputs("target", out);
    word(out, service->name);
    word(out, route->label);
    word(out, route->targets[index].at.text);
    number(out, sum->is_up);
    number(out, sum->active);
    number(out, sum->chosen);
    number(out, sum->connect_errors + sum->reported_errors);
    if (sum->in_use) {
        number(out, sum->in_use_ns / 1000000);
    } else {
        word(out, "-");
    }
    word(out, status_word_of(order, &route->targets[index], sum));
    fputc('\n', out);
}

static void write_connection(const struct status_connection *connection,
                             FILE *out)
{
    const struct record *record = &connection->record;

    fputs("connection", out);
    address(out, &record->client);
    word(out, record->service);
    address(out, &record->target);
    word(out, connection->state);
    number(out, record->total_ns / 1000000);
    number(out, record->in_bytes);
    number(out, record->out_bytes);
    fputc('\n', out);
}

void status_write(const struct status *status, FILE *out)
{
    const struct metrics *metrics = status->metrics;
    const struct config *config = metrics->setup->config;
    const struct target_sum *sum = metrics->targets;
    struct order *const *orders = metrics->setup->orders;

    write_proxy(metrics, out);
    write_confinement(metrics->proxy, out);
    for (size_t i = 0; i < config->service_count; i++) {
        write_service(metrics, i, out);
    }
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->route_count; j++) {
            const struct config_route *route = &service->routes[j];
            for (size_t k = 0; k < route->target_count; k++) {
                write_target(service, route, k, *orders++, sum++, out);
            }
        }
    }
    for (size_t i = 0; i < status->count; i++) {
        write_connection(&status->listed[i], out);
    }
}
