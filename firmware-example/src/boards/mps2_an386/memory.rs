//! Makes the machine's memory as small as the linker script says: QEMU lets a program write to all of
//! it, to its own code, and to places where nothing is.

use cortex_m::peripheral::MPU;

/// Fields of RASR. Armv7-M Architecture Reference Manual, B3.5.9
const ENABLE: u32 = 1;
const CACHED: u32 = 1 << 17;
const READ_ONLY: u32 = 0b110 << 24;
const READ_WRITE: u32 = 0b011 << 24;
const NO_CODE: u32 = 1 << 28;
const fn size(log2: u32) -> u32 {
    (log2 - 1) << 1
}

/// Where, and what may be done there; a later one counts for more.
const REGIONS: [(u32, u32); 3] = [
    // Program, and nothing up to the RAM: a stack that overflows writes here.
    (0x0000_0000, READ_ONLY | CACHED | size(29) | ENABLE),
    // No RAM behind the small part's.
    (0x2000_0000, NO_CODE | size(29) | ENABLE),
    // 64 KiB, as in memory/mps2-an386.x.
    (
        0x2000_0000,
        READ_WRITE | NO_CODE | CACHED | size(16) | ENABLE,
    ),
];

/// Devices stay as they are; a fault's handler may do everything.
const ON: u32 = 1 << 2 | 1;

/// From here on, what the linker script does not give is a fault.
pub(super) fn protect(mpu: &mut MPU) {
    for (number, (base, attributes)) in (0..).zip(REGIONS) {
        // SAFETY: the regions allow all that the program does: they follow its memory map.
        unsafe {
            mpu.rnr.write(number);
            mpu.rbar.write(base);
            mpu.rasr.write(attributes);
        }
    }
    // SAFETY: as above.
    unsafe { mpu.ctrl.write(ON) };
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}
