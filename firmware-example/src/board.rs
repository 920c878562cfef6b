//! [`Board`]: all that the app asks of a board, and the only place where it asks.
//!
//! The app never names a board. A further board is one file that implements these traits, a list of
//! its dependencies in `Cargo.toml` and a memory map; `docs/PORTING.md` walks through one.
//! The console's `read` is dropped while it waits, and called again: no byte may be lost by that.

/// A board, taken apart at boot: each part is owned by whoever drives it.
#[derive(Debug)]
pub struct Board<N, F, C, E, K, P> {
    /// Shown by `status`: `mps2-an386`.
    pub name: &'static str,
    /// Ethernet, or what looks like it.
    pub network: N,
    /// The region that holds the device's state, and nothing else.
    pub flash: F,
    /// How a spent key is made unreadable there: what the flash allows.
    pub wipe: hushwire_flash::Wipe,
    /// Where a person at the desk reads and types.
    pub console: C,
    /// Raw noise.
    pub entropy: E,
    /// The key of the flash, and what tells an older image.
    pub keeper: K,
    /// Lamp, sensor, button, watchdog.
    pub panel: P,
}

/// The source of noise does not answer, or what it gives cannot be noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoEntropy;

/// A source of noise: a chip's TRNG, before any whitening of ours.
///
/// The app tests what comes out (SP 800-90B 4.4), conditions it, and makes no key when a test fails.
pub trait Entropy {
    /// Fills the buffer with raw noise; may block for milliseconds.
    ///
    /// # Errors
    /// [`NoEntropy`] where the hardware reports a fault or does not answer.
    fn fill(&mut self, noise: &mut [u8]) -> Result<(), NoEntropy>;
}

/// Keeps 32 bytes outside of [`Board::flash`]: one-time-programmable memory, a protected page, a
/// secure element. Whoever has them and the flash image has the device.
pub trait Keeper {
    /// The key, or `None` before the first [`Self::keep`] and after [`Self::forget`].
    fn key(&mut self) -> Option<[u8; 32]>;

    /// Keeps a new key, durably. `false`: it could not.
    fn keep(&mut self, key: &[u8; 32]) -> bool;

    /// Destroys the key: everything sealed under it is lost. Factory reset and hand-over.
    fn forget(&mut self);

    /// A number that never goes back, whatever is written into the flash; `None` where the board has
    /// none. With it an older image is told at boot.
    fn anchor(&mut self) -> Option<u64> {
        None
    }

    /// Raises [`Self::anchor`] to `to`.
    fn raise(&mut self, to: u64) {
        let _ = to;
    }
}

/// What the lamp tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lamp {
    /// Dark.
    Off,
    /// Lit.
    On,
}

/// How deep the stack was, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stack {
    /// The deepest since the start, interrupts included.
    pub most: u32,
    /// All that there is.
    pub size: u32,
}

/// What a person sees and touches, and what guards the app against itself.
pub trait Panel {
    /// Sets the lamp.
    fn lamp(&mut self, lamp: Lamp);

    /// A reading of the board's sensor, in its own unit ([`Self::UNIT`]); `None` where it has none.
    fn read(&mut self) -> Option<i32>;

    /// The reading's unit: `m°C`, `mV`.
    const UNIT: &'static str;

    /// Whether the button is held: at boot, for [`crate::RESET_HOLD`], it resets the device to its
    /// factory state.
    fn is_held(&mut self) -> bool;

    /// Starts the watchdog, which restarts the board when it is not fed for `seconds`.
    fn guard(&mut self, seconds: u8);

    /// Feeds the watchdog.
    fn feed(&mut self);

    /// Restarts the board.
    fn restart(&mut self) -> !;

    /// How deep the stack was; `None` where the board does not measure it.
    fn stack(&mut self) -> Option<Stack> {
        None
    }
}
