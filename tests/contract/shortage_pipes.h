/*
 * Rows of no_thread.c: reads some bytes from, or writes many to, a pipe, a
 * FIFO, a terminal and its master, a file, and a file opened for appending; and
 * a FIFO whose permissions keep the process from opening it again.
 */
#ifndef WEIR_TESTS_CONTRACT_SHORTAGE_PIPES_H
#define WEIR_TESTS_CONTRACT_SHORTAGE_PIPES_H

#include <weir/error.h>

int shortage_read_kind(weir_loop *loop);
int shortage_write_kind(weir_loop *loop);
int shortage_read_anonymous(weir_loop *loop);
int shortage_write_anonymous(weir_loop *loop);
int shortage_read_fifo(weir_loop *loop);
int shortage_write_fifo(weir_loop *loop);
int shortage_read_shut_fifo(weir_loop *loop);
int shortage_write_shut_fifo(weir_loop *loop);
int shortage_read_slave(weir_loop *loop);
int shortage_write_slave(weir_loop *loop);
int shortage_read_master(weir_loop *loop);
int shortage_write_master(weir_loop *loop);
int shortage_read_regular(weir_loop *loop);
int shortage_write_regular(weir_loop *loop);
int shortage_read_appended(weir_loop *loop);
int shortage_write_appended(weir_loop *loop);
int shortage_write_beyond(weir_loop *loop);
int shortage_write_broken(weir_loop *loop);

#endif
