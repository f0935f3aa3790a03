/*
 * Fills and checks the registers that a call must preserve.
 *
 * There is an assembly function for each machine that switch.S supports. On
 * other machines REGISTERS is not defined.
 */
#ifndef WEIR_TESTS_UNIT_REGISTERS_H
#define WEIR_TESTS_UNIT_REGISTERS_H

#include <stdint.h>

/* Fills the registers with @value and the following numbers, calls @call(@arg)
 * and writes their contents to @ret. Restores the caller's registers. */
void fill_registers(uint64_t value, void (*call)(void *), void *arg,
                    uint64_t *ret);

#if defined(__x86_64__)

#define REGISTERS 6u

__asm__(".text\n"
        ".globl fill_registers\n"
        ".type fill_registers, @function\n"
        "fill_registers:\n"
        "    pushq %rbx\n    pushq %rbp\n    pushq %r12\n"
        "    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    pushq %rcx\n"
        "    movq %rdi, %rbx\n"
        "    leaq 1(%rdi), %rbp\n    leaq 2(%rdi), %r12\n"
        "    leaq 3(%rdi), %r13\n    leaq 4(%rdi), %r14\n"
        "    leaq 5(%rdi), %r15\n"
        "    movq %rdx, %rdi\n    callq *%rsi\n"
        "    popq %rcx\n"
        "    movq %rbx, 0(%rcx)\n    movq %rbp, 8(%rcx)\n"
        "    movq %r12, 16(%rcx)\n    movq %r13, 24(%rcx)\n"
        "    movq %r14, 32(%rcx)\n    movq %r15, 40(%rcx)\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n"
        "    popq %r12\n    popq %rbp\n    popq %rbx\n"
        "    ret\n"
        ".size fill_registers, . - fill_registers\n");

#elif defined(__aarch64__)

/* x19 to x29, then d8 to d15. */
#define REGISTERS 19u

__asm__(".text\n"
        ".globl fill_registers\n"
        ".type fill_registers, %function\n"
        "fill_registers:\n"
        "    stp x29, x30, [sp, #-192]!\n"
        "    stp x19, x20, [sp, #16]\n"
        "    stp x21, x22, [sp, #32]\n"
        "    stp x23, x24, [sp, #48]\n"
        "    stp x25, x26, [sp, #64]\n"
        "    stp x27, x28, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    str x3, [sp, #160]\n"
        "    add x19, x0, #0\n"
        "    add x20, x0, #1\n"
        "    add x21, x0, #2\n"
        "    add x22, x0, #3\n"
        "    add x23, x0, #4\n"
        "    add x24, x0, #5\n"
        "    add x25, x0, #6\n"
        "    add x26, x0, #7\n"
        "    add x27, x0, #8\n"
        "    add x28, x0, #9\n"
        "    add x29, x0, #10\n"
        "    add x9, x0, #11\n"
        "    fmov d8, x9\n"
        "    add x9, x0, #12\n"
        "    fmov d9, x9\n"
        "    add x9, x0, #13\n"
        "    fmov d10, x9\n"
        "    add x9, x0, #14\n"
        "    fmov d11, x9\n"
        "    add x9, x0, #15\n"
        "    fmov d12, x9\n"
        "    add x9, x0, #16\n"
        "    fmov d13, x9\n"
        "    add x9, x0, #17\n"
        "    fmov d14, x9\n"
        "    add x9, x0, #18\n"
        "    fmov d15, x9\n"
        "    mov x0, x2\n"
        "    blr x1\n"
        "    ldr x3, [sp, #160]\n"
        "    stp x19, x20, [x3, #0]\n"
        "    stp x21, x22, [x3, #16]\n"
        "    stp x23, x24, [x3, #32]\n"
        "    stp x25, x26, [x3, #48]\n"
        "    stp x27, x28, [x3, #64]\n"
        "    str x29, [x3, #80]\n"
        "    str d8, [x3, #88]\n"
        "    str d9, [x3, #96]\n"
        "    str d10, [x3, #104]\n"
        "    str d11, [x3, #112]\n"
        "    str d12, [x3, #120]\n"
        "    str d13, [x3, #128]\n"
        "    str d14, [x3, #136]\n"
        "    str d15, [x3, #144]\n"
        "    ldp x19, x20, [sp, #16]\n"
        "    ldp x21, x22, [sp, #32]\n"
        "    ldp x23, x24, [sp, #48]\n"
        "    ldp x25, x26, [sp, #64]\n"
        "    ldp x27, x28, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    ldp x29, x30, [sp], #192\n"
        "    ret\n"
        ".size fill_registers, . - fill_registers\n");

#endif

#endif
