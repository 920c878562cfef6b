//! `embassy-net`'s side: tokens, wakers, and the interrupt's handler.

use core::cell::RefCell;
use core::fmt;
use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::blocking_mutex::{Mutex, raw::CriticalSectionRawMutex};
use embassy_sync::waitqueue::AtomicWaker;

use crate::chip::{Chip, int};
use crate::frames::MAX_FRAME;
use crate::registers::Registers;

/// The controller, shared between the driver and its interrupt.
pub struct Irq<R> {
    chip: Mutex<CriticalSectionRawMutex, RefCell<Chip<R>>>,
    /// All that the driver waits for: one task polls it, and looks at everything.
    changed: AtomicWaker,
}

impl<R: Registers> Irq<R> {
    /// Shares a started controller.
    pub const fn new(chip: Chip<R>) -> Self {
        Self {
            chip: Mutex::new(RefCell::new(chip)),
            changed: AtomicWaker::new(),
        }
    }

    /// The interrupt's handler: wakes whoever waits.
    pub fn handle(&self) {
        if self.with(Chip::interrupted) != 0 {
            self.changed.wake();
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Chip<R>) -> T) -> T {
        self.chip.lock(|chip| f(&mut chip.borrow_mut()))
    }
}

/// The driver that `embassy-net` takes.
pub struct Lan9118<'a, R> {
    shared: &'a Irq<R>,
    address: [u8; 6],
}

impl<'a, R: Registers> Lan9118<'a, R> {
    /// Drives a shared controller; `address` is the one that it was started with.
    pub const fn new(shared: &'a Irq<R>, address: [u8; 6]) -> Self {
        Self { shared, address }
    }

    /// Whether the largest frame can be sent; else asks to be told.
    fn has_room(&self) -> bool {
        self.shared.with(|chip| {
            if chip.has_room(MAX_FRAME) {
                return true;
            }
            chip.listen(int::ROOM);
            // It may have come between the look and the request.
            chip.has_room(MAX_FRAME)
        })
    }
}

impl<R> fmt::Debug for Lan9118<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shared: _, address } = self;
        f.debug_struct("Lan9118")
            .field("address", address)
            .finish_non_exhaustive()
    }
}

impl<R: Registers> Driver for Lan9118<'_, R> {
    type RxToken<'b>
        = Received<'b, R>
    where
        Self: 'b;
    type TxToken<'b>
        = Room<'b, R>
    where
        Self: 'b;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_, R>, Room<'_, R>)> {
        let shared = self.shared;
        shared.changed.register(cx.waker());
        // An answer to a frame may follow at once, so there must be room for it, too.
        if !self.has_room() {
            return None;
        }
        let len = shared.with(|chip| {
            let len = chip.front();
            if len.is_none() {
                chip.listen(int::RECEIVED);
                // One may have come between the look and the request, or others may have their turn.
                if chip.has_frame() {
                    cx.waker().wake_by_ref();
                }
            }
            len
        })?;
        Some((Received { shared, len }, Room { shared }))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Room<'_, R>> {
        self.shared.changed.register(cx.waker());
        let shared = self.shared;
        self.has_room().then_some(Room { shared })
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.shared.changed.register(cx.waker());
        if self.shared.with(Chip::link_is_up) {
            LinkState::Up
        } else {
            LinkState::Down
        }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MAX_FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A frame that waits in the FIFO. Dropped, it goes on waiting.
pub struct Received<'a, R> {
    shared: &'a Irq<R>,
    len: usize,
}

impl<R: Registers> RxToken for Received<'_, R> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, f: F) -> T {
        let mut frame = [0; MAX_FRAME];
        let frame = &mut frame[..self.len];
        self.shared.with(|chip| chip.take(frame));
        f(frame)
    }
}

/// Room for a frame.
pub struct Room<'a, R> {
    shared: &'a Irq<R>,
}

impl<R: Registers> TxToken for Room<'_, R> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, len: usize, f: F) -> T {
        let mut frame = [0; MAX_FRAME];
        let frame = &mut frame[..len.min(MAX_FRAME)];
        let result = f(frame);
        self.shared.with(|chip| chip.send(frame));
        result
    }
}
