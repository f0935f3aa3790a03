/*
 * wr_fiber_swap: switches to another stack; the next call switches back.
 *
 *     void wr_fiber_swap(void **sp);
 *
 * Pushes the callee-saved registers, exchanges the stack pointer with *sp and
 * pops the registers from there. The frame of a new fiber (fiber.c) looks as if
 * wr_fiber_entry had called wr_fiber_swap. Unwinding ends there: the return
 * address is declared undefined and the frame pointer is 0.
 *
 * The notes at the end declare the processor features that this file supports.
 * The linker drops a note of a library if one of its objects does not have it.
 *
 * x86-64, indirect branch tracking (IBT): a switch jumps to the instruction
 * after a call of wr_fiber_swap(). gcc puts an endbr64 there with
 * -fcf-protection (fiber.c); other compilers do not, so the jump is marked as
 * not tracked.
 *
 * x86-64, shadow stacks (SHSTK): wr_shadow_exchange() also exchanges the shadow
 * stack (shadow.h). Not declared with ucontext, where the C library makes a
 * shadow stack for each fiber and never unmaps it. Without the note the loader
 * leaves shadow stacks off in a program that uses this library, and does not
 * load the library into a program that has them on.
 *
 * aarch64: BTI, which does not track returns, and pointer authentication (PAC)
 * if the compiler enables it with -mbranch-protection. A return address is
 * signed with the address of its frame, which is unique to the fiber.
 */
#ifndef WR_FIBER_UCONTEXT

#if defined(__x86_64__)

/*
 * The control bits of mxcsr and the x87 are callee-saved, too. Saving them
 * takes 4 of 25 ns; comparing before loading saves nothing.
 */
    .macro push_register register
    pushq %\register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %\register, 0
    .endm

    .macro pop_register register
    popq %\register
    .cfi_adjust_cfa_offset -8
    .cfi_restore %\register
    .endm

    .macro begin_switch name
    .text
    .p2align 4
    .globl \name
    .hidden \name
    .type \name, @function
\name:
    .cfi_startproc
#if defined(__CET__) && (__CET__ & 1)
    endbr64
#endif
    push_register rbp
    push_register rbx
    push_register r12
    push_register r13
    push_register r14
    push_register r15
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    .endm

    /* Both stacks have the same frame here, so the directives stay true. */
    .macro end_switch name
    movq (%rdi), %rax
    movq %rsp, (%rdi)
    movq %rax, %rsp

    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    pop_register r15
    pop_register r14
    pop_register r13
    pop_register r12
    pop_register rbx
    pop_register rbp
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rcx
    /* A ret would be predicted to go to this side's return address. */
    notrack jmp *%rcx
    .cfi_endproc
    .size \name, . - \name
    .endm

    begin_switch wr_fiber_swap
    end_switch wr_fiber_swap

/*
 *     void wr_shadow_exchange(void **sp, void **shadow);
 *
 * *@shadow is the address of the token of the other shadow stack, and
 * afterwards of this one. The return address of this call is dropped first,
 * because the other side returns with a jump. rstorssp consumes the other
 * stack's token and sets the carry flag; saveprevssp reads the flag and writes
 * this stack's token.
 */
    begin_switch wr_shadow_exchange
    movl $1, %eax
    incsspq %rax
    rdsspq %rdx
    movq (%rsi), %rcx
    subq $8, %rdx
    movq %rdx, (%rsi)
    rstorssp (%rcx)
    saveprevssp
    end_switch wr_shadow_exchange

/* Entry of a new fiber with a shadow stack, whose upper end is in rbx. Drops
 * the addresses that the previous fiber left there, at most 255 per incsspq. */
    .p2align 4
    .globl wr_shadow_entry
    .hidden wr_shadow_entry
    .type wr_shadow_entry, @function
wr_shadow_entry:
    .cfi_startproc
    .cfi_undefined %rip
#if defined(__CET__) && (__CET__ & 1)
    endbr64
#endif
1:  rdsspq %rax
    subq %rbx, %rax
    negq %rax
    shrq $3, %rax
    jz wr_fiber_entry
    cmpq $255, %rax
    jbe 2f
    movl $255, %eax
2:  incsspq %rax
    jmp 1b
    .cfi_endproc
    .size wr_shadow_entry, . - wr_shadow_entry

/* Entry of a new fiber: calls r13 with r12, r14 and r15; see fiber.c. */
    .p2align 4
    .globl wr_fiber_entry
    .hidden wr_fiber_entry
    .type wr_fiber_entry, @function
wr_fiber_entry:
    .cfi_startproc
    .cfi_undefined %rip
#if defined(__CET__) && (__CET__ & 1)
    endbr64
#endif
    movq %r12, %rdi
    movq %r14, %rsi
    movq %r15, %rdx
    call *%r13
    ud2
    .cfi_endproc
    .size wr_fiber_entry, . - wr_fiber_entry

#elif defined(__aarch64__)

/*
 * x19 to x30 and the lower halves of v8 to v15 are callee-saved. FPCR is saved
 * like mxcsr on x86-64, so that each fiber has its own rounding mode.
 */
    .text
    .p2align 4
    .globl wr_fiber_swap
    .hidden wr_fiber_swap
    .type wr_fiber_swap, %function
wr_fiber_swap:
    .cfi_startproc
#ifdef __ARM_FEATURE_PAC_DEFAULT
    hint #25 /* paciasp, also a landing pad */
    .cfi_negate_ra_state
#else
    hint #34 /* bti c */
#endif
    sub sp, sp, #176
    .cfi_adjust_cfa_offset 176
    stp x19, x20, [sp, #0]
    .cfi_rel_offset x19, 0
    .cfi_rel_offset x20, 8
    stp x21, x22, [sp, #16]
    .cfi_rel_offset x21, 16
    .cfi_rel_offset x22, 24
    stp x23, x24, [sp, #32]
    .cfi_rel_offset x23, 32
    .cfi_rel_offset x24, 40
    stp x25, x26, [sp, #48]
    .cfi_rel_offset x25, 48
    .cfi_rel_offset x26, 56
    stp x27, x28, [sp, #64]
    .cfi_rel_offset x27, 64
    .cfi_rel_offset x28, 72
    stp x29, x30, [sp, #80]
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    stp d8, d9, [sp, #96]
    .cfi_rel_offset d8, 96
    .cfi_rel_offset d9, 104
    stp d10, d11, [sp, #112]
    .cfi_rel_offset d10, 112
    .cfi_rel_offset d11, 120
    stp d12, d13, [sp, #128]
    .cfi_rel_offset d12, 128
    .cfi_rel_offset d13, 136
    stp d14, d15, [sp, #144]
    .cfi_rel_offset d14, 144
    .cfi_rel_offset d15, 152
    mrs x10, fpcr
    str x10, [sp, #160]

    /* Both stacks have the same frame here, so the directives stay true. */
    ldr x9, [x0]
    mov x11, sp
    str x11, [x0]
    mov sp, x9

    ldr x9, [sp, #160]
    cmp x9, x10
    b.eq 1f
    msr fpcr, x9
1:  ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #176
    .cfi_adjust_cfa_offset -176
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    .cfi_restore x30
    .cfi_restore d8
    .cfi_restore d9
    .cfi_restore d10
    .cfi_restore d11
    .cfi_restore d12
    .cfi_restore d13
    .cfi_restore d14
    .cfi_restore d15
#ifdef __ARM_FEATURE_PAC_DEFAULT
    hint #29 /* autiasp */
    .cfi_negate_ra_state
#endif
    ret
    .cfi_endproc
    .size wr_fiber_swap, . - wr_fiber_swap

/* Entry of a new fiber: calls x20 with x19, x21 and x22; see fiber.c. */
    .p2align 4
    .globl wr_fiber_entry
    .hidden wr_fiber_entry
    .type wr_fiber_entry, %function
wr_fiber_entry:
    .cfi_startproc
    .cfi_undefined x30
    hint #34 /* bti c */
    mov x0, x19
    mov x1, x21
    mov x2, x22
    blr x20
    brk #1
    .cfi_endproc
    .size wr_fiber_entry, . - wr_fiber_entry

#endif

#endif

/* With ucontext this file has no code, so it permits IBT, BTI and PAC. */
#if defined(__x86_64__) && defined(__LP64__)
#define SWITCH_FEATURES 0xc0000002 /* GNU_PROPERTY_X86_FEATURE_1_AND */
#ifdef WR_FIBER_UCONTEXT
#define SWITCH_HAS 1 /* IBT */
#else
#define SWITCH_HAS 3 /* IBT and SHSTK */
#endif
#elif defined(__aarch64__)
#define SWITCH_FEATURES 0xc0000000 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
#ifdef __ARM_FEATURE_PAC_DEFAULT
#define SWITCH_HAS 3 /* BTI and PAC */
#else
#define SWITCH_HAS 1 /* BTI */
#endif
#endif

#ifdef SWITCH_FEATURES
    .section .note.gnu.property, "a", %note
    .p2align 3
    .long 4, 16, 5 /* sizes of name and content; NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long SWITCH_FEATURES, 4, SWITCH_HAS, 0
#endif

    .section .note.GNU-stack, "", %progbits
