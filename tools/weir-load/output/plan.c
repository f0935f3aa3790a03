/*
 * Prints what a run would do (--dry-run), and checks that the machine has
 * enough ports and descriptors. Ports are counted between one local address and
 * one target address, for the target with the most connections.
 */
#include "output.h"

#include "tools/common/console.h"
#include "tools/common/limits.h"
#include "tools/common/shell_line.h"
#include "tools/common/units.h"
#include "tools/weir-load/command/command.h"

#include "weir/base.h"

#include <stdlib.h>

/* Descriptors of an additional thread, for its ring and its loop. */
#define THREAD_FDS 8U

static uint64_t count_fds(const struct run_options *options)
{
    return options->conn_count + (options->thread_count - 1) * THREAD_FDS;
}

/* Returns the number of ports needed, or 0 if no target has ports. */
static uint64_t count_ports(const struct run_options *options)
{
    const size_t locals = options->local_count > 0 ? options->local_count : 1;
    uint64_t most = 0;

    for (size_t i = 0; i < options->target_count; i++) {
        const struct target *place =
            options_place(options, &options->targets[i]);
        uint64_t count = options->connect_to.text
                             ? options->conn_count
                             : options_conns_of(options, i);
        if (place->address.storage.any.sa_family != AF_UNIX && count > most) {
            most = count;
        }
    }
    return (most + locals - 1) / locals;
}

bool plan_check(const struct run_options *options)
{
    return limits_raise_fds(count_fds(options)) &&
           limits_check_ports(count_ports(options));
}

static void print_load(const struct run_options *options, FILE *out)
{
    if (options->model == RUN_MODEL_CLOSED) {
        fputs("Model       closed loop", out);
    } else if (options->rate > 0) {
        fprintf(out, "Model       open %s %.1f/s",
                options_arrival_name(options->model), options->rate);
    } else {
        fputs("Model       open, rates by stages", out);
    }
    if (options->part.count > 1) {
        fprintf(out, ", part %u of %u", options->part.index + 1,
                options->part.count);
    }
    fprintf(out, ", mode %s, %llu conns, depth %llu, %llu threads\n",
            options_mode_name(options->mode), LLU(options->conn_count),
            LLU(options->depth), LLU(options->thread_count));
    if (options_has_conn_stages(options)) {
        fprintf(out, "Stages      of connections %s, %llu at first\n",
                options->conn_stages_text, LLU(options_first_conns(options)));
    }
}

static void print_times(const struct run_options *options, FILE *out)
{
    char text[UNITS_TEXT_SIZE];

    fprintf(out, "Time        warm-up %s",
            units_format_time(options->warmup_ns, text));
    if (options->duration_ns > 0) {
        fprintf(out, ", measured %s",
                units_format_time(options->duration_ns, text));
    }
    if (options->request_count > 0) {
        fprintf(out, ", measured %llu requests", LLU(options->request_count));
    }
    fprintf(out, ", time-out %s, seed %llu\n",
            units_format_time(options->timeout_ns, text), LLU(options->seed));
}

static void print_data(const struct run_options *options, FILE *out)
{
    static const char *const orders[] = {
        [DATA_TURN] = "in turn",
        [DATA_RANDOM] = "at random",
        [DATA_ONCE] = "once each",
    };
    char names[200];

    fprintf(out, "Data        %zu rows %s, of %s\n", options->data->row_count,
            orders[options->data_order],
            data_list(options->data, names, sizeof(names)));
}

static void print_target(const struct run_options *options, size_t index,
                         FILE *out)
{
    const struct target *target = &options->targets[index];
    const struct target *place = options_place(options, target);
    const bool has_name = place->address_count > 0;
    char text[WEIR_ADDRESS_TEXT_SIZE];

    fprintf(out, "Target      %s, %llu conns to", target->text,
            LLU(options_conns_of(options, index)));
    for (size_t i = 0; i < (has_name ? place->address_count : 1); i++) {
        weir_address_format(has_name ? &place->addresses[i] : &place->address,
                            text, sizeof(text));
        fprintf(out, "%s %s", i > 0 ? "," : "", text);
    }
    fputc('\n', out);
}

static void print_preamble(const struct preamble *preamble, FILE *out)
{
    if (!preamble) {
        return;
    }
    fprintf(out, "Preamble    %zu requests on each connection",
            preamble->line_count);
    for (size_t i = 0; i < preamble->capture_count; i++) {
        fprintf(out, "%s%s", i > 0 ? ", " : ", capture ",
                preamble->captures[i].text);
    }
    fputc('\n', out);
}

/* Prints all arguments as given, except secrets, so that a new option needs no
 * code here. */
static void print_command(const struct run_options *options, FILE *out)
{
    struct shell_line line;

    shell_line_begin(&line, "Command    ");
    for (int i = 0; i < options->argc; i++) {
        char *word = secret_words_strip(options->argv, i);
        shell_line_add(&line, word ? word : "...");
        free(word);
    }
    fputs(shell_line_end(&line) ? line.text
                                : "Command     longer than 4096 bytes\n",
          out);
}

void plan_print(const struct run_options *options, FILE *out)
{
    fprintf(out, "weir-load %s  dry run: nothing was sent\n", weir_version());
    print_command(options, out);
    print_load(options, out);
    print_times(options, out);
    if (options->data) {
        print_data(options, out);
    }
    fputs("CPUs        ", out);
    cpus_print(&options->client_cpus, out);
    fputs(" of the client", out);
    if (options->server_cpus.count > 0) {
        fputs(", ", out);
        cpus_print(&options->server_cpus, out);
        fputs(" of the server", out);
    }
    fputc('\n', out);
    print_preamble(options->preamble, out);
    for (size_t i = 0; i < options->target_count; i++) {
        print_target(options, i, out);
    }
    const uint64_t ports = count_ports(options);
    fprintf(out, "Limits      %llu of %llu descriptors",
            LLU(count_fds(options) + LIMITS_OWN_FDS), LLU(limits_get_fds()));
    if (ports > 0) {
        fprintf(out, ", %llu of %llu ports to one address", LLU(ports),
                LLU(limits_get_ports()));
    }
    fputc('\n', out);
    outputs_print(options, out);
}
