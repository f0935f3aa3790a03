/*
 * One queue of numbered items, for its tests: calls return numbers.
 *
 * An item is an element of an array, its number its index; a call that gets one
 * returns that, or its error. A putting worker's object is the item.
 */
#ifndef WEIR_TESTS_TASKS_QUEUE_RIG_H
#define WEIR_TESTS_TASKS_QUEUE_RIG_H

#include "sync.h"

#include <weir/sync.h>

extern weir_queue *queue;
extern int items[8];

/* Runs the body, which makes the queue, and frees the queue. */
void free_after(void (*body)(void));
void queue_make(weir_loop *on, size_t maxsize, enum weir_queue_order order);
int get(void *object);
int get_nowait(void *object);
int drain(void *object);
int put(int number);

/* A worker's object is the item. */
int put_item(void *object);
int put_item_nowait(void *object);
int join(void *object);

#endif
