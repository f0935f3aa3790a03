/*
 * Limits of this machine that are checked before a run, because the run would
 * otherwise fail half-way: descriptors and ephemeral ports.
 *
 * Messages include the remedy.
 */
#ifndef WEIR_COMMON_LIMITS_H
#define WEIR_COMMON_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

/* Descriptors of the program: ring, signals, files, the terminal. */
#define LIMITS_OWN_FDS 64U

/* Raises the soft limit of descriptors for this many connections. Returns false
 * after printing what is missing. */
bool limits_raise_fds(uint64_t conn_count);

/* For a server: raises the soft limit to the hard limit. */
void limits_raise_fds_to_hard(void);

uint64_t limits_get_fds(void);

/* Returns the number of ephemeral ports, or 0 if it is unknown. */
uint64_t limits_get_ports(void);

/* Returns true if there are ports for this many connections to one address, or
 * false after printing how many there are. */
bool limits_check_ports(uint64_t conn_count_per_target);

#endif
