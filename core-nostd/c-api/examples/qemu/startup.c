/*
 * What a Cortex-M4 needs before main(): vectors, memory, the floating-point unit. For QEMU's
 * mps2-an386, where newlib's "rdimon" gives the example the host's console and files.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern uint32_t __data_start, __data_end, __data_load, __bss_start, __bss_end, __stack_top;

extern void initialise_monitor_handles(void);
extern int main(void);

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
    exit(main());
}

__attribute__((section(".vectors"), used)) static const struct {
    const void *stack;
    void (*reset)(void);
    void (*faults[14])(void);
} vectors = {&__stack_top, reset, {fault, fault, fault, fault, fault}};
