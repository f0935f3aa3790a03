/*
 * Connection limits: how many connections are open at a time, on all threads
 * together. A connection that a limit counts has a place.
 *
 * Each limit is one counter shared by all threads, so it is never exceeded.
 * Above the program's limit a client is reset. Above an address's limit clients
 * wait until a connection of any thread ends; the oldest client of a thread is
 * next.
 */
#ifndef WEIR_PROXY_PLACES_H
#define WEIR_PROXY_PLACES_H

#include "proxy.h"

enum place_state {
    PLACE_OUTSIDE, /* not counted by any limit */
    PLACE_COUNTED, /* refused after a wait, not ended yet */
    PLACE_WAITING, /* in the list of waiting clients of its listening socket */
    PLACE_TAKEN,   /* counted by both limits */
};

/* State of a client's connection with respect to the limit of the program and
 * the limit of the address that accepted it. */
struct place {
    struct link link; /* must be the first field */
    enum place_state state;
    bool is_counted;      /* by the program's limit, if it has one */
    bool is_counted_here; /* by its address's limit, if it has one */
};

/* Counts an accepted connection. Returns false if the program has too many
 * connections. Otherwise door->take_in() is called, at once or when the limits
 * admit the connection. */
bool places_enter(struct place *place, struct door *door);
/* Must be called at the end of a connection, even if it still waits. */
void places_leave(struct place *place, struct door *door);
/* Admits waiting clients of this worker as far as the limits allow. */
void places_look(struct worker *worker);
/* Ends the wait of the oldest waiting client. Returns NULL if none waits. */
struct place *places_turn_away(struct door *door);

#endif
