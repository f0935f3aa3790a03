/*
 * Scenes: tests of the contract in lines of a small language.
 *
 *     SCENE(end_matrix, open_and_pending__close_sends_everything_first, "both",
 *           "clog; close; turn 10; alive; read end; came all; lost 0 CLOSED")
 *
 * A scene is a test with a round of each kind of connection that has what it
 * needs. Its texts are steps, of which scenes.c has a table: calls of the
 * program, acts of the peer, and what must be seen. Texts are played in order;
 * one that begins with the name of a callback is played inside it: "@data
 * pause; fail EPROTO", or with "@data!" the first time only. A word that no
 * step knows fails the scene before it begins. A step that does not hold shows
 * the scene with the step between >> and <<.
 *
 * E is the name that weir_err_name() has for an error, several with | between
 * them, 0 for none, or any; left out it is 0. N is a number, which K or M may
 * follow, or a value by its name. V is what a value must be: N, <N, >N, <=N or
 * >=N, each also of a number above what was noted: +N; and kept, which of the
 * bytes that came is all that were written, unless the peer can reset, which
 * takes them back.
 *
 * @needs: both, receives, sends, plain, memory, reset, break, kernel, pipe, tls
 * and nested, or with ! before it, where it must not be so; and of the rig:
 * wide (the kernel's buffers are not made small), eof=N (the result of
 * eof_received), read=N and hard=N (limits of the maker's options), idle-ms=N
 * and the like (its limits in time), copied or in-place (a buffered protocol,
 * without or with release_buffer); each: the scene is played with write,
 * writelines and write_ref in turn, else with write.
 */
#ifndef WEIR_TESTS_CONTRACT_SCENES_H
#define WEIR_TESTS_CONTRACT_SCENES_H

#include "tests/contract/harness.h"

void scene_run(const char *needs, const char *const *texts);

#define SCENE(suite, name, needs, ...)                                         \
    UNIT_IN(suite, name, unit_alone, void)                                     \
    {                                                                          \
        scene_run(needs, (const char *const[]){__VA_ARGS__, NULL});            \
    }
#endif
