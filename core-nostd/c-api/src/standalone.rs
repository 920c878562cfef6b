//! What a static library without std has to bring: where a panic ends.
//!
//! Our own code has no panic that survives the optimiser: `cargo xtask c-api` looks at each site that
//! does. They are checks in the arithmetic of dependencies, which never fail.

use core::panic::PanicInfo;

/// Traps: a chip takes its fault handler, a host ends the program. Never inlined, so that a linked
/// image shows who could reach it.
#[panic_handler]
#[inline(never)]
fn hushwire_panicked(info: &PanicInfo<'_>) -> ! {
    if cfg!(feature = "panic-sites") {
        core::hint::black_box(info.location());
    }
    loop {
        trap();
    }
}

#[cfg(target_arch = "arm")]
fn trap() {
    // SAFETY: an undefined instruction has no effect but the fault that is wanted here.
    unsafe { core::arch::asm!("udf #0", options(nomem, nostack)) }
}

#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
fn trap() {
    // SAFETY: an undefined instruction has no effect but the fault that is wanted here.
    unsafe { core::arch::asm!("unimp", options(nomem, nostack)) }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn trap() {
    // SAFETY: an undefined instruction has no effect but the fault that is wanted here.
    unsafe { core::arch::asm!("ud2", options(nomem, nostack)) }
}

#[cfg(target_arch = "aarch64")]
fn trap() {
    // SAFETY: a breakpoint has no effect but the fault that is wanted here.
    unsafe { core::arch::asm!("brk #1", options(nomem, nostack)) }
}

#[cfg(not(any(
    target_arch = "arm",
    target_arch = "aarch64",
    target_arch = "riscv32",
    target_arch = "riscv64",
    target_arch = "x86",
    target_arch = "x86_64"
)))]
const fn trap() {}
