/*
 * weir as a guest of another event loop, and the traffic that shows whether a
 * turn was missed or one was made too many.
 *
 * A guest is a loop whose server echoes by a task, and a client on the host's
 * side, a plain socket that sends bytes and reads them back. The host makes a
 * turn when the descriptor or the deadline says so, and counts them.
 */
#ifndef WEIR_TESTS_CONTRACT_HOST_RIG_H
#define WEIR_TESTS_CONTRACT_HOST_RIG_H

#include "tests/contract/loop_rig.h"

#include <arpa/inet.h>

struct guest {
    weir_server *server;
    struct sockaddr_in address;
    int client;     /* -1: none */
    int sent;       /* by the client, one byte each */
    int echoed;     /* of them that came back */
    int wanted;     /* the host ends when as many have come back */
    uint64_t turns; /* that the host made */
    uint64_t idle;  /* of them, those in which nothing was done */
    int result;     /* of the last turn */
};

/* Opens `loop`, a server on it that echoes, and a client that is connected. */
void guest_open(struct guest *guest);
void guest_close(struct guest *guest);

/* The host's turn of the guest. */
void guest_turn(struct guest *guest);
/* How long the host may wait: in milliseconds, rounded up; -1 for ever. */
int guest_wait_ms(void);

/* The client sends its next byte. */
void guest_send(struct guest *guest);
/* The client's socket is readable: it reads, and sends the next one. */
void guest_read(struct guest *guest);

#endif
