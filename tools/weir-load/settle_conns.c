/*
 * The largest number of the stages is in the place of -c: so many connections
 * have memory, ports and descriptors, and blocks of threads and parts.
 *
 * That connections come and go has no meaning where none are made, nor for a
 * flow of bytes without an end.
 */
#include "settle_conns.h"

#include "tools/common/console.h"

bool settle_conns_read(void *options, const struct option *option,
                       const char *value, char *why)
{
    struct run_options *run = &((struct options_reading *)options)->options;
    char reason[CONN_STAGES_WHY_SIZE];

    (void)option;
    run->conn_stages_text = value;
    return conn_stages_parse(value, &run->conn_stages, reason) == 0 ||
           option_refuse(why, "%s", reason);
}

bool settle_conns(struct run_options *options,
                  const struct options_given *given)
{
    const struct conn_stages *stages = &options->conn_stages;

    if (!given->conn_stages) {
        return true;
    }
    options->whole_conn_count = conn_stages_most(stages);
    options->duration_ns = conn_stages_duration(stages);
    return !given->stages ||
           schedule_duration(&options->schedule) == options->duration_ns ||
           option_say(given->conn_stages,
                      "its stages last %.9gs together, those of --stages %.9gs",
                      (double)options->duration_ns / 1e9,
                      (double)schedule_duration(&options->schedule) / 1e9);
}

/* How many connections there have to be so that each thread of each part has
 * one. */
static uint64_t find_least(const struct run_options *options)
{
    const uint64_t whole = options->whole_conn_count;
    const uint64_t block = whole / options->part.count / options->thread_count;

    return (whole + block - 1) / block;
}

bool settle_conns_meaning(const struct run_options *options,
                          const struct options_given *given)
{
    if (!given->conn_stages) {
        return true;
    }
    if (options->targets[0].is_datagram) {
        return option_say(given->conn_stages,
                          "over udp:// nothing is connected");
    }
    if (options->mode == RUN_MODE_STREAM) {
        return option_say(given->conn_stages, "it is not for mode stream");
    }
    const uint64_t least = find_least(options);
    return options->model == RUN_MODEL_CLOSED ||
           conn_stages_least(&options->conn_stages) >= least ||
           option_say(given->conn_stages,
                      "with a schedule each thread needs a connection at all "
                      "times; here %llu are the fewest that all have together",
                      (unsigned long long)least);
}
