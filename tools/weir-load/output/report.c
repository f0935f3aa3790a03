/*
 * Prints the report: what ran, the results of requests, the rate, latencies,
 * connections, errors, and the verdict. A figure of too few values is a dash. A
 * run without success has no rate and no latencies.
 */
#include "writers.h"

#include "tools/common/console.h"
#include "tools/common/units.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/result/result.h"

#include "weir/base.h"

#include <stdlib.h>
#include <string.h>

/* Smallest number of intervals for which the range of their p99 is printed. */
#define SPREAD_ROWS_MIN 3U

/* Largest number of intervals in the line about open connections. */
#define OPEN_ROWS 8U

/* Width of a row's name, maximum and mean, and of each percentile. */
#define ROW_WIDTH  27U
#define CELL_WIDTH 9U

/* Indentation of the rest of a line that is too long for the terminal. */
#define INDENT 12U

/* Prints the payload, or the number of different requests. */
static void print_payload(const struct run_options *options, FILE *out)
{
    char buf[UNITS_TEXT_SIZE];
    const char *size = sizes_is_fixed(&options->send)
                           ? units_format_size(options->send.most, buf)
                           : options->send_text;

    switch (options->mode) {
    case RUN_MODE_ECHO:
    case RUN_MODE_CRR:
        fprintf(out, ", %s echoed", size);
        break;
    case RUN_MODE_RR:
        fprintf(out, ", %s sent", size);
        break;
    case RUN_MODE_STREAM:
        fprintf(out, ", blocks of %s, %s", size,
                options_direction_name(options->direction));
        break;
    case RUN_MODE_IDLE:
        fputs(", idle", out);
        break;
    default:
        if (options->mix) {
            fprintf(out, ", a mix of %zu requests", options->mix->kind_count);
        } else if (options->urls) {
            fprintf(out, ", a list of %zu requests", options->urls->count);
        }
        break;
    }
}

static void print_cpus(const struct result *result, FILE *out)
{
    const struct run_options *options = result->options;

    if (options->server_cpus.count > 0) {
        fputs("Client and server share this machine: CPUs ", out);
        cpus_print(&options->client_cpus, out);
        fputs(" of the client, ", out);
        cpus_print(&options->server_cpus, out);
        fputs(" of the server.\n", out);
    } else if (result->same_machine && options->client_cpus.count > 0 &&
               options->client_cpus.count < (size_t)result->host.cpu_count) {
        fputs("Client and server share this machine, of which the client has "
              "CPUs ",
              out);
        cpus_print(&options->client_cpus, out);
        fputs(".\n", out);
    } else if (result->same_machine) {
        fputs("Client and server share this machine and its CPUs.\n", out);
    }
}

static void print_header(const struct result *result, FILE *out)
{
    const struct run_options *options = result->options;
    char window[UNITS_TEXT_SIZE];
    char warmup[UNITS_TEXT_SIZE];

    fprintf(out, "weir-load %s  %s", weir_version(), options->targets[0].text);
    if (options->target_count > 1) {
        fprintf(out, " and %zu more", options->target_count - 1);
    }
    /* The load model determines the meaning of latencies. */
    if (result->model == RUN_MODEL_CLOSED) {
        fputs("  closed loop", out);
    } else {
        fprintf(out, "  open %s", options_arrival_name(result->model));
    }
    if (result->model != RUN_MODEL_CLOSED && result->measured_began) {
        fprintf(out, " %.1f/s", result->offered_rate);
    }
    if (options->part.count > 1) {
        fprintf(out, ", part %u of %u", options->part.index + 1,
                options->part.count);
    }
    fprintf(out, ", %llu thread%s, %s%llu connection%s%s, depth %llu",
            LLU(options->thread_count), options->thread_count == 1 ? "" : "s",
            options_has_conn_stages(options) ? "up to " : "",
            LLU(options->conn_count), options->conn_count == 1 ? "" : "s",
            options_is_churn(options) ? " (a new one for each request)" : "",
            LLU(options->depth));
    if (options->request_count > 0) {
        fprintf(out, ", %llu requests", LLU(options->request_count));
    }
    print_payload(options, out);
    fprintf(out, ", measured %s, warm-up %s, seed %llu\n",
            units_format_time(result->window_ns, window),
            units_format_time(options->warmup_ns, warmup), LLU(options->seed));
    print_cpus(result, out);
}

/* Prints the fields that the report shows. If @begun is not NULL, they continue
 * the line with this title. The last line is not ended. */
static void print_fields(const struct field *fields, const void *from,
                         const struct result *result, const char *begun,
                         FILE *out)
{
    char text[UNITS_TEXT_SIZE];

    for (; fields->name; fields++) {
        const uint64_t value = fields_get(fields, from);
        if (!fields->line || (fields->hides_zero && value == 0) ||
            (fields->is_shown && !fields->is_shown(result))) {
            continue;
        }
        if (begun && strcmp(begun, fields->line) == 0) {
            fputs("  ", out);
        } else {
            fprintf(out, "%s%-12s", begun ? "\n" : "", fields->line);
        }
        begun = fields->line;
        fprintf(out, "%s ", fields->text);
        if (fields->unit == FIELD_BYTES) {
            fputs(units_format_size(value, text), out);
        } else {
            fprintf(out, "%llu", LLU(value));
        }
    }
}

static void print_datagrams(const struct result *result, FILE *out)
{
    const struct ledger *measured = &result->measured;
    const uint64_t lost = result->answers.lost;

    if (!result->options->targets[0].is_datagram) {
        return;
    }
    fprintf(out, "Datagrams   lost %llu (%.3f%%)", LLU(lost),
            measured->sent > 0 ? (double)lost * 100 / (double)measured->sent
                               : 0);
    print_fields(fields_answers, &result->answers, result, "Datagrams", out);
    fputc('\n', out);
}

static void print_status(const struct result *result, FILE *out)
{
    const char *title = "Status      ";

    for (unsigned i = 1; i < TRAFFIC_STATUS_COUNT; i++) {
        if (result->status[i] > 0) {
            fprintf(out, "%s%u: %llu", title, i, LLU(result->status[i]));
            title = "  ";
        }
    }
    fputs(title[0] == 'S' ? "" : "\n", out);
}

static void print_offered(const struct result *result, double achieved,
                          FILE *out)
{
    const struct histogram *late = &result->times.lateness;
    char text[UNITS_TEXT_SIZE];

    if (result->model == RUN_MODEL_CLOSED) {
        return;
    }
    fprintf(out, "Offered     %.1f/s  achieved %.2f%%", result->offered_rate,
            result->offered_rate > 0 ? achieved * 100 / result->offered_rate
                                     : 0);
    if (histogram_can_tell(late, 99000)) {
        fprintf(out, "  sent late p99 %s",
                units_format_time(histogram_quantile(late, 99000), text));
    }
    print_fields(fields_result, result, result, "Offered", out);
    fputc('\n', out);
}

static void print_rate(const struct result *result, FILE *out)
{
    double seconds = (double)result->window_ns / 1e9;
    double cpu_seconds =
        (double)(result->usage.user_ns + result->usage.system_ns) / 1e9;

    print_offered(result, (double)result->completed / seconds, out);
    fprintf(out, "Rate        %.1f/s", (double)result->completed / seconds);
    if (cpu_seconds > 0) {
        fprintf(out, "  (%.0f for each second of client CPU)",
                (double)result->completed / cpu_seconds);
    }
    if (result->measured.ok == 0) {
        fputs("  the backlog of the warm-up", out);
    }
    fputc('\n', out);
}

/* Returns true if a percentile is left out on a narrow terminal. The first one
 * stays, and as many of the last ones as fit. */
static bool is_left_out(const struct run_options *options, size_t place,
                        unsigned width)
{
    const size_t fits =
        width < ROW_WIDTH + CELL_WIDTH ? 1 : (width - ROW_WIDTH) / CELL_WIDTH;

    return width > 0 && place > 0 && place + fits < options->column_count + 1;
}

static void print_latency_line(const struct run_options *options,
                               const char *name, const struct histogram *h,
                               const char *remark, unsigned width, FILE *out)
{
    char text[UNITS_TEXT_SIZE];

    fprintf(out, "%-9s", name);
    for (size_t i = 0; i < options->column_count; i++) {
        if (is_left_out(options, i, width)) {
            continue;
        }
        const uint32_t share = options->columns[i];
        const char *value =
            histogram_can_tell(h, share)
                ? units_format_time(histogram_quantile(h, share), text)
                : "-";
        fprintf(out, " %8s", value);
    }
    if (h->count == 0) {
        fprintf(out, " %8s %8s  %s\n", "-", "-", remark);
        return;
    }
    fprintf(out, " %8s", units_format_time(h->max, text));
    fprintf(out, " %8s  %s\n",
            units_format_time((uint64_t)histogram_mean(h), text), remark);
}

static void print_spread(const struct result *result, FILE *out)
{
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    uint64_t low = 0;
    uint64_t high = 0;
    size_t row_count = 0;
    char texts[4][UNITS_TEXT_SIZE];

    const struct histogram *h = record_times(&result->times);
    if (!histogram_can_tell(h, 99000)) {
        return;
    }
    histogram_interval(h, 99000, &low, &high);
    fprintf(out, "p99 95%% CI  [%s, %s]", units_format_time(low, texts[0]),
            units_format_time(high, texts[1]));
    for (size_t i = 0; i < result->row_count; i++) {
        uint64_t p99_ns = result->rows[i].counts.p99_ns;
        if (result->rows[i].counts.max_ns == 0) {
            continue; /* no answer */
        }
        row_count++;
        least = p99_ns < least ? p99_ns : least;
        most = p99_ns > most ? p99_ns : most;
    }
    if (row_count >= SPREAD_ROWS_MIN) {
        fprintf(out, "  over %zu intervals %s to %s", row_count,
                units_format_time(least, texts[2]),
                units_format_time(most, texts[3]));
    }
    fputc('\n', out);
}

static void print_latency_title(const struct run_options *options,
                                unsigned width, FILE *out)
{
    char name[16];

    fprintf(out, "%-9s", "");
    for (size_t i = 0; i < options->column_count; i++) {
        if (!is_left_out(options, i, width)) {
            snprintf(name, sizeof(name), "p%g", options->columns[i] / 1000.0);
            fprintf(out, " %8s", name);
        }
    }
    fprintf(out, " %8s %8s\n", "max", "mean");
}

static void print_kinds(const struct result *result, unsigned width, FILE *out)
{
    const struct kinds *groups = result->options->groups;
    char remark[KINDS_NAME_SIZE + 96];
    bool is_shown[KINDS_MAX];

    if (!groups || groups->count < 2) {
        return;
    }
    kinds_choose(groups, result->kinds, is_shown);
    for (size_t i = 0; i < groups->count; i++) {
        if (!is_shown[i]) {
            continue;
        }
        const struct kind_counts *counts = &result->kinds[i].counts;
        const uint64_t errors = counts->failed + counts->timeout;
        int len = snprintf(remark, sizeof(remark), "%s  ok %llu",
                           groups->names[i], LLU(counts->ok));
        if (errors > 0) {
            len +=
                snprintf(remark + len, sizeof(remark) - (size_t)len,
                         "  errors %llu (%.2f%%)", LLU(errors),
                         (double)errors * 100 / (double)kinds_requests(counts));
        }
        print_latency_line(result->options, "Kind", &result->kinds[i].latency,
                           remark, width, out);
    }
    if (groups->count > KINDS_CHOSEN) {
        fprintf(out,
                "Kinds       %zu; those above have the most requests, "
                "--json has all\n",
                groups->count);
    }
}

static void print_latency(const struct result *result, unsigned width,
                          FILE *out)
{
    const struct run_options *options = result->options;

    print_latency_title(options, width, out);
    for (size_t i = 0; i < SLO_TIMES_COUNT; i++) {
        const struct field_times *times = &fields_times[i];
        const struct histogram *h = fields_times_in(result, (enum slo_times)i);
        if (times->line && (times->is_always || h->count > 0) &&
            (!times->is_shown || times->is_shown(result))) {
            print_latency_line(
                options, times->line, h,
                (width == 0 || ROW_WIDTH + CELL_WIDTH * options->column_count +
                                       2 + strlen(times->remark) <=
                                   width)
                    ? times->remark
                    : "",
                width, out);
        }
    }
    print_kinds(result, width, out);
    print_spread(result, out);
}

static void print_tls(const struct result *result, FILE *out)
{
    const struct tls_facts *tls = &result->tls;

    if (!tls_is_meant(result->options->targets,
                      result->options->target_count)) {
        return;
    }
    print_fields(fields_handshakes, tls, result, NULL, out);
    if (tls->in_window > 0 && result->window_ns > 0) {
        fprintf(out, "  %.1f/s",
                (double)tls->in_window * 1e9 / (double)result->window_ns);
    }
    if (tls->version[0]) {
        fprintf(out, "  %s %s%s%s", tls->version, tls->cipher,
                tls->group[0] ? " " : "", tls->group);
    }
    fprintf(out, "%s%s\n", tls->alpn[0] ? " ALPN " : "", tls->alpn);
}

/* --conn-stages: prints the open connections at the end of up to OPEN_ROWS
 * intervals. */
static void print_open(const struct result *result, FILE *out)
{
    const size_t step = (result->row_count + OPEN_ROWS - 1) / OPEN_ROWS;
    char text[UNITS_TEXT_SIZE];

    if (!options_has_conn_stages(result->options) || result->row_count == 0) {
        return;
    }
    fputs("Open       ", out);
    for (size_t i = step - 1; i < result->row_count; i += step) {
        const struct interval *row = &result->rows[i].counts;
        fprintf(out, " %s%llu at %s", i >= step ? " " : "", LLU(row->open),
                units_format_time(row->end_ns, text));
    }
    fputc('\n', out);
}

static void print_errors(const struct result *result, FILE *out)
{
    const char *title = "Errors     ";

    for (size_t i = 0; i < result->errors.kind_count; i++) {
        const struct error_kind *kind = &result->errors.kinds[i];
        fprintf(out, "%s %llu  %s: %s (%s)", title, LLU(kind->count),
                error_phase_name(kind->phase), error_code_text(kind->code),
                error_code_name(kind->code));
        if (kind->requests > 0) {
            fprintf(out, ", requests lost: %llu", LLU(kind->requests));
        }
        fprintf(out, "%s%s\n", kind->detail[0] ? "; first: " : "",
                kind->detail);
        title = "           ";
    }
    if (result->errors.other_count > 0) {
        fprintf(out, "%s %llu  of other kinds\n", title,
                LLU(result->errors.other_count));
    }
}

static void print_transfer(const struct result *result, FILE *out)
{
    double seconds = (double)result->window_ns / 1e9;

    fprintf(out, "Transfer    %.1f MB/s in  %.1f MB/s out\n",
            (double)result->received_bytes / seconds / 1e6,
            (double)result->sent_bytes / seconds / 1e6);
    fprintf(out, "Client      cpu %.0f%% (user %.0f%%, system %.0f%%)",
            verdict_cpu_share(result) * 100,
            (double)result->usage.user_ns / (double)result->window_ns * 100,
            (double)result->usage.system_ns / (double)result->window_ns * 100);
    print_fields(fields_usage, &result->usage, result, "Client", out);
    fputc('\n', out);
}

static void print_objectives(const struct result *result, FILE *out)
{
    const struct slo *slo = &result->options->slo;
    char text[SLO_TEXT_SIZE];

    for (size_t i = 0; i < slo->count; i++) {
        fprintf(out, "Objective   %s  %s: %s\n", slo->terms[i].text,
                result->options->part.count > 1
                    ? "is evaluated when all parts are merged; here"
                : result->slo[i].passed ? "holds"
                                        : "DOES NOT HOLD",
                slo_format(&slo->terms[i], &result->slo[i], text));
    }
}

static void print_all(const struct result *result, unsigned width, FILE *out)
{
    print_header(result, out);
    print_fields(fields_ledger, &result->measured, result, NULL, out);
    fputc('\n', out);
    print_datagrams(result, out);
    print_status(result, out);
    if (result->completed > 0 && result->window_ns > 0) {
        print_rate(result, out);
        print_latency(result, width, out);
    }
    print_fields(fields_connections, &result->connections, result, NULL, out);
    fputc('\n', out);
    print_open(result, out);
    print_tls(result, out);
    if (options_may_speak_http2(result->options)) {
        print_fields(fields_http2, &result->http2, result, NULL, out);
        fputc('\n', out);
    }
    print_errors(result, out);
    if (result->completed > 0 && result->window_ns > 0) {
        print_transfer(result, out);
    }
    print_objectives(result, out);
    for (size_t i = 0; i < result->warnings.count; i++) {
        fprintf(out, "Warning     %s\n", result->warnings.lines[i]);
    }
    for (size_t i = 0; i < result->invalid.count; i++) {
        fprintf(out, "Invalid     %s\n", result->invalid.lines[i]);
    }
    fprintf(out, "%s\n", verdict_word(result));
}

/* Prints a line, broken at the width of the terminal. */
static void print_broken(const char *line, size_t len, size_t width, FILE *out)
{
    size_t room = width;

    while (len > room) {
        size_t end = room;
        while (end > 0 && line[end] != ' ') {
            end--;
        }
        if (end == 0) {
            break; /* a word is longer than the line */
        }
        fprintf(out, "%.*s\n%*s", (int)end, line, (int)INDENT, "");
        end += strspn(line + end, " ");
        line += end;
        len -= end < len ? end : len;
        room = width - INDENT;
    }
    fprintf(out, "%.*s\n", (int)len, line);
}

void report_print(const struct result *result, FILE *out)
{
    const unsigned width = console_width(fileno(out));
    char *text = NULL;
    size_t size = 0;
    FILE *whole = width > 2 * INDENT ? open_memstream(&text, &size) : NULL;

    if (!whole) {
        print_all(result, width, out);
        return;
    }
    print_all(result, width, whole);
    if (fclose(whole) == 0) {
        for (const char *line = text; *line;) {
            const size_t len = strcspn(line, "\n");
            print_broken(line, len, width, out);
            line += len + (line[len] == '\n');
        }
    }
    free(text);
}

/* Returns the error that explains why a run failed: over UDP, if no request
 * succeeded, an error reported by the kernel, if there was one; else the error
 * that failed the most requests, the first one among equals. A consequence,
 * such as a failed reconnect, fails fewer requests. */
static const struct error_kind *find_reason(const struct result *result)
{
    const struct error_table *errors = &result->errors;
    const struct error_kind *worst = NULL;

    for (size_t i = 0; i < errors->kind_count; i++) {
        const struct error_kind *kind = &errors->kinds[i];
        if (result->options->targets[0].is_datagram &&
            result->exit == LOAD_NOTHING && kind->phase == PHASE_TRANSFER) {
            return kind;
        }
        if (!worst || kind->requests > worst->requests) {
            worst = kind;
        }
    }
    return worst;
}

static void complain_of_objective(const struct result *result)
{
    const struct slo *slo = &result->options->slo;
    char text[SLO_TEXT_SIZE];
    size_t first = 0;

    while (first + 1 < slo->count && result->slo[first].passed) {
        first++;
    }
    say("--slo: %s does not hold: %s", slo->terms[first].text,
        slo_format(&slo->terms[first], &result->slo[first], text));
}

static void suggest_elsewhere(const struct result *result)
{
    char url[ELSEWHERE_SIZE];
    struct shell_line line;

    if (!elsewhere_find(result, url)) {
        return;
    }
    if (!elsewhere_write(result, url, &line)) {
        say("write %.400s", url);
        return;
    }
    say("%s", elsewhere_reason(result));
    if (shell_line_end(&line)) {
        console_write(line.text, line.len);
    }
}

void report_complain(const struct result *result)
{
    const struct error_kind *kind = find_reason(result);
    const char *target = result->options->targets[0].text;

    switch (result->exit) {
    case LOAD_OK:
        return;
    case LOAD_INTERRUPTED:
        say("interrupted; the results until then are reported");
        return;
    case LOAD_INVALID:
        say("the run is invalid: %s", result->invalid.lines[0]);
        return;
    case LOAD_SLO:
        complain_of_objective(result);
        return;
    default:
        break;
    }
    const char *what = result->exit == LOAD_NOTHING
                           ? "not one request succeeded"
                           : "more errors than --max-errors allows";
    if (!kind) {
        say("%s: %s", target, what);
        return;
    }
    if (result->exit == LOAD_NOTHING && result->shortages > 0) {
        say("%s: %s; %s", target, what, result->invalid.lines[0]);
        return;
    }
    const bool may_expect = kind->code == ERROR_STATUS &&
                            kind->phase != PHASE_PREAMBLE &&
                            !result->options->http.has_expected;
    say("%s: %s; %s: %s (%s)%s%s%s", target, what,
        error_phase_name(kind->phase), error_code_text(kind->code),
        error_code_name(kind->code), kind->detail[0] ? "; first: " : "",
        kind->detail,
        may_expect ? "; --expect sets the statuses that succeed" : "");
    suggest_elsewhere(result);
}
