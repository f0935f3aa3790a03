/*
 * Places: how many connections there may be at once, of all threads together.
 *
 * Each limit is one number that all threads count on, so that there is never
 * one connection more. Above the limit of the program a client is reset; above
 * that of an address clients wait, the oldest of a thread first, until one of
 * any thread has ended.
 */
#ifndef WEIR_PROXY_PLACES_H
#define WEIR_PROXY_PLACES_H

#include "proxy.h"

enum place_state {
    PLACE_OUTSIDE, /* not among all of the program */
    PLACE_COUNTED, /* among them alone: its wait was ended */
    PLACE_WAITING, /* in the list of its door */
    PLACE_TAKEN,   /* among those of its address, too */
};

/* A connection among those that there may be. */
struct place {
    struct link link; /* the first field */
    enum place_state state;
    bool is_counted;      /* there was a limit of all */
    bool is_counted_here; /* ... of its address */
};

/* Takes the places of a connection that was accepted. False: there are too many
 * in the program. Else its door's `take_in` is called, now or when it has
 * waited. */
bool places_enter(struct place *place, struct door *door);
/* Gives them back, or ends the wait; for the end of the connection. */
void places_leave(struct place *place, struct door *door);
/* Lets those in who wait for a place of this worker, if there is one. */
void places_look(struct worker *worker);
/* Ends the wait of the one that has waited longest; NULL: none waits. */
struct place *places_turn_away(struct door *door);

#endif
