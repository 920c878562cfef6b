//! What cannot go on: said on the console, then a restart.

use core::arch::naked_asm;

use cortex_m::peripheral::SCB;
use cortex_m_rt::exception;

use super::uart;

fn restart(because: &str) -> ! {
    uart::say("\r\n# ");
    uart::say(because);
    uart::say(": restart\r\n");
    SCB::sys_reset()
}

/// The stack may be what faulted, so the handler begins with a new one.
#[unsafe(export_name = "HardFault")]
#[unsafe(naked)]
unsafe extern "C" fn hard_fault() -> ! {
    naked_asm!(
        "ldr r0, =_stack_start",
        "msr msp, r0",
        "b {faulted}",
        faulted = sym faulted,
    )
}

extern "C" fn faulted() -> ! {
    restart("fault")
}

/// The watchdog's first expiry; it resets by itself at the second.
#[exception]
unsafe fn NonMaskableInt() -> ! {
    restart("watchdog")
}
