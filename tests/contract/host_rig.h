/*
 * weir embedded in another event loop (the host), and traffic that reveals
 * missed or unnecessary iterations.
 *
 * A guest is a loop whose server echoes with a task, and a client of the host:
 * a plain socket that sends bytes and reads them back. The host runs an
 * iteration when the descriptor or the deadline requires it, and counts them.
 */
#ifndef WEIR_TESTS_CONTRACT_HOST_RIG_H
#define WEIR_TESTS_CONTRACT_HOST_RIG_H

#include "tests/contract/loop_rig.h"

#include <arpa/inet.h>

struct guest {
    weir_server *server;
    struct sockaddr_in address;
    int client;
    int sent;
    int echoed;
    int wanted;
    uint64_t turns;
    uint64_t idle; /* iterations in which nothing was done */
    int result;
};

void guest_open(struct guest *guest);
void guest_close(struct guest *guest);

void guest_turn(struct guest *guest);
/* Returns how long the host may wait, in milliseconds, rounded up; -1 means
 * forever. */
int guest_wait_ms(void);

void guest_send(struct guest *guest);
void guest_read(struct guest *guest);

#endif
