/*
 * What a Cortex-M4 needs before main(): vectors, memory, the floating-point unit. For QEMU's
 * mps2-an386, where newlib's "rdimon" gives the example the host's console and files.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern uint32_t __data_start, __data_end, __data_load, __bss_start, __bss_end, __stack_top;

extern void initialise_monitor_handles(void);
extern void *_sbrk(int increment);
extern int main(void);

/* The stack grows down into a colour; how much of it is gone at the end was used at most. */
enum { COLOUR = 0xA5, RESERVE = 64 };

static void paint_stack(void)
{
    uint8_t *here = __builtin_frame_address(0);
    for (uint8_t *at = _sbrk(0); at < here - RESERVE; at++) {
        *at = COLOUR;
    }
}

static size_t used_stack(void)
{
    const uint8_t *at = _sbrk(0);
    while (*at == COLOUR) {
        at++;
    }
    return (size_t)((const uint8_t *)&__stack_top - at);
}

static void fault(void)
{
    /* Ends QEMU by SYS_EXIT_EXTENDED with a status of failure: a trap in the library ends here. */
    static const uint32_t reason[2] = {0x20026, 3};
    register uint32_t operation __asm__("r0") = 0x20;
    register const uint32_t *argument __asm__("r1") = reason;
    for (;;) {
        __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
    }
}

void reset(void)
{
    /* Coprocessors 10 and 11: the ABI passes floating-point arguments in their registers. */
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm__ volatile("dsb\n isb");
    memcpy(&__data_start, &__data_load, (size_t)((char *)&__data_end - (char *)&__data_start));
    memset(&__bss_start, 0, (size_t)((char *)&__bss_end - (char *)&__bss_start));
    initialise_monitor_handles();
    paint_stack();
    int status = main();
    fprintf(stderr, "%u bytes of stack\n", (unsigned)used_stack());
    exit(status);
}

__attribute__((section(".vectors"), used)) static const struct {
    const void *stack;
    void (*reset)(void);
    void (*faults[14])(void);
} vectors = {&__stack_top, reset, {fault, fault, fault, fault, fault}};
