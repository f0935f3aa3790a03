/*
 * Connection limits: how many connections are open at a time, on all threads
 * together.
 *
 * Each limit is one counter shared by all threads, so it is never exceeded.
 * Above the program's limit a client is reset. Above an address's limit clients
 * wait until a connection of any thread ends; the oldest of a thread goes
 * first.
 */
#ifndef WEIR_PROXY_PLACES_H
#define WEIR_PROXY_PLACES_H

#include "proxy.h"

enum place_state {
    PLACE_OUTSIDE, /* not counted */
    PLACE_COUNTED, /* counted in the program's limit only: its wait was ended */
    PLACE_WAITING, /* in the list of its door */
    PLACE_TAKEN,   /* counted in both limits */
};

/* A connection as the limits count it. */
struct place {
    struct link link; /* the first field */
    enum place_state state;
    bool is_counted;      /* in the program's limit, if there is one */
    bool is_counted_here; /* in its address's limit, if there is one */
};

/* Counts an accepted connection. Returns false if the program has too many.
 * Otherwise the `take_in` of its door is called, now or after waiting. */
bool places_enter(struct place *place, struct door *door);
/* Ends the counting, or the wait; called when the connection ends. */
void places_leave(struct place *place, struct door *door);
/* Admits waiting clients of this worker while the limits allow. */
void places_look(struct worker *worker);
/* Ends the wait of the oldest waiting client. Returns NULL if none waits. */
struct place *places_turn_away(struct door *door);

#endif
