/*
 * Ports that connections keep after their end: whoever closes first has the
 * connection in TIME_WAIT for a minute, and no new connection between the same
 * two addresses can have its port meanwhile, unless net.ipv4.tcp_tw_reuse lets
 * it after a second.
 *
 * A run in which the client closes first is told before it begins if its ports
 * will not do, and afterwards if they did not.
 */
#ifndef WEIR_LOAD_PORTS_H
#define WEIR_LOAD_PORTS_H

#include "options.h"

/* Of this machine, for the connections of a run to one place. */
struct ports {
    /* All that there are, from all own addresses; 0: not known, or there are
     * none as with Unix sockets. */
    uint64_t count;
    /* Those of them that are quickly found: the kernel looks through one half
     * of its range first, and through all of that when none is free. */
    uint64_t quick_count;
    /* How long one is kept. */
    uint64_t hold_ns;
    bool is_reused;
};

/* Room for the lines about them. */
#define PORTS_TEXT_SIZE 512U

/* Does the client close connections first, again and again? */
bool ports_are_kept(const struct run_options *options);

struct ports ports_look(const struct run_options *options);

/* How many are kept now, to the place that most are kept to. */
uint64_t ports_count_kept(const struct run_options *options);

/* How many of one place's will be kept at once by a run, as far as the options
 * say; 0: they do not. */
uint64_t ports_foresee(const struct run_options *options,
                       const struct ports *ports);

/* What can be done about it, as the end of a sentence; returns text, which has
 * PORTS_TEXT_SIZE bytes. */
const char *ports_advise(const struct ports *ports, char *text);

/* Say before a run that its ports will not do. */
void ports_warn(const struct run_options *options);

#endif
