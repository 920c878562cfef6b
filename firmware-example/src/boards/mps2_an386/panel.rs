//! LED, sensor and watchdog of the machine.

use hushwire_firmware::board::{Lamp, Panel, Stack};

use crate::boards::stack;

/// FPGA system registers: LEDs, and a counter that counts each second.
const LED: *mut u32 = 0x4002_8000 as *mut u32;
const SECONDS: *const u32 = 0x4002_8010 as *const u32;

const WATCHDOG_LOAD: *mut u32 = 0x4000_8000 as *mut u32;
const WATCHDOG_CONTROL: *mut u32 = 0x4000_8008 as *mut u32;
const WATCHDOG_CLEAR: *mut u32 = 0x4000_800c as *mut u32;
/// At the first expiry an interrupt, which no critical section holds up; at the second a reset.
const GUARD: u32 = 3;
const HZ: u32 = 25_000_000;
/// What the watchdog can count to.
const LONGEST: u8 = (u32::MAX / HZ) as u8;

/// The machine's panel.
#[derive(Debug)]
pub(crate) struct Mps2Panel {
    is_held: bool,
}

impl Mps2Panel {
    /// Nobody can press the machine's button, so the command line says whether it is held.
    pub(super) const fn new(is_held: bool) -> Self {
        Self { is_held }
    }
}

impl Panel for Mps2Panel {
    const UNIT: &'static str = "s since power on";

    fn lamp(&mut self, lamp: Lamp) {
        // SAFETY: a register of this machine that only the panel writes.
        unsafe { LED.write_volatile(u32::from(lamp == Lamp::On)) }
    }

    fn read(&mut self) -> Option<i32> {
        // SAFETY: a register of this machine; reading it changes nothing.
        i32::try_from(unsafe { SECONDS.read_volatile() }).ok()
    }

    fn is_held(&mut self) -> bool {
        self.is_held
    }

    fn guard(&mut self, seconds: u8) {
        let load = HZ * u32::from(seconds.clamp(1, LONGEST));
        // SAFETY: registers of this machine that only the panel writes.
        unsafe {
            WATCHDOG_LOAD.write_volatile(load);
            WATCHDOG_CONTROL.write_volatile(GUARD);
        }
    }

    fn feed(&mut self) {
        // SAFETY: as above; any value clears and loads anew.
        unsafe { WATCHDOG_CLEAR.write_volatile(1) }
    }

    fn restart(&mut self) -> ! {
        cortex_m::peripheral::SCB::sys_reset()
    }

    fn stack(&mut self) -> Option<Stack> {
        Some(stack::used())
    }
}
