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

#include "session.h"

/* Takes the places of a session that was accepted. False: the session waits, or
 * it was refused; session_open() follows when it has waited. */
bool places_enter(struct session *session);
/* Gives them back, or ends the wait; for the end of the session. */
void places_leave(struct session *session);
/* Refuses those that wait: the proxy ends. */
void places_close(struct door *door);

#endif
