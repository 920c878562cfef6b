//! `embassy-net`'s side: tokens, wakers, and the interrupt's handler.

use core::cell::RefCell;
use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::blocking_mutex::{Mutex, raw::CriticalSectionRawMutex};
use embassy_sync::waitqueue::AtomicWaker;

use crate::chip::{Chip, INT_RECEIVED, INT_ROOM, INT_RX_STOPPED};
use crate::registers::Registers;

/// Longest frame without its check sum, in bytes.
pub const MAX_FRAME: usize = 1514;

/// What the interrupt tells the driver.
struct Signals {
    received: AtomicWaker,
    room: AtomicWaker,
}

impl Signals {
    const fn new() -> Self {
        Self {
            received: AtomicWaker::new(),
            room: AtomicWaker::new(),
        }
    }
}

/// The controller, shared between the driver and its interrupt.
pub struct Irq<R> {
    chip: Mutex<CriticalSectionRawMutex, RefCell<Chip<R>>>,
    signals: Signals,
}

impl<R: Registers> Irq<R> {
    /// Shares a started controller.
    pub const fn new(chip: Chip<R>) -> Self {
        Self {
            chip: Mutex::new(RefCell::new(chip)),
            signals: Signals::new(),
        }
    }

    /// The interrupt's handler: wakes whoever waits.
    pub fn handle(&self) {
        let happened = self.with(Chip::interrupted);
        if happened & (INT_RECEIVED | INT_RX_STOPPED) != 0 {
            self.signals.received.wake();
        }
        if happened & INT_ROOM != 0 {
            self.signals.room.wake();
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
    scratch: &'a mut [u8; MAX_FRAME],
}

impl<'a, R: Registers> Lan9118<'a, R> {
    /// Drives a shared controller; `address` is the one that it was started with.
    pub const fn new(
        shared: &'a Irq<R>,
        address: [u8; 6],
        scratch: &'a mut [u8; MAX_FRAME],
    ) -> Self {
        Self {
            shared,
            address,
            scratch,
        }
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
        self.shared.signals.received.register(cx.waker());
        let shared = self.shared;
        // An answer to a frame may follow at once, so there must be room for it, too.
        let ready = shared.with(|chip| {
            if !chip.has_room(MAX_FRAME) {
                chip.listen(INT_ROOM);
                return None;
            }
            let len = chip.receive(&mut *self.scratch);
            if len.is_none() {
                chip.listen(INT_RECEIVED);
                // One may have come between the look and the request.
                if chip.has_frame() {
                    cx.waker().wake_by_ref();
                }
            }
            len
        });
        let Some(len) = ready else {
            shared.signals.room.register(cx.waker());
            return None;
        };
        // The stack reads one buffer and answers from another of its own stack frame.
        Some((
            Received {
                frame: &mut self.scratch[..len],
                _chip: shared,
            },
            Room { shared },
        ))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Room<'_, R>> {
        let shared = self.shared;
        shared.signals.room.register(cx.waker());
        let free = shared.with(|chip| {
            let free = chip.has_room(MAX_FRAME);
            if !free {
                chip.listen(INT_ROOM);
            }
            free
        });
        free.then_some(Room { shared })
    }

    fn link_state(&mut self, _cx: &mut Context<'_>) -> LinkState {
        // The emulated and the reference boards' PHY comes up with the cable; without one, frames
        // are lost, which TCP bears.
        LinkState::Up
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

/// A frame that arrived.
pub struct Received<'a, R> {
    frame: &'a mut [u8],
    _chip: &'a Irq<R>,
}

impl<R: Registers> RxToken for Received<'_, R> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, f: F) -> T {
        f(self.frame)
    }
}

/// Room for a frame.
pub struct Room<'a, R> {
    shared: &'a Irq<R>,
}

impl<R: Registers> TxToken for Room<'_, R> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, len: usize, f: F) -> T {
        let mut frame = [0; MAX_FRAME];
        let len = len.min(MAX_FRAME);
        let result = f(&mut frame[..len]);
        self.shared.with(|chip| chip.send(&frame[..len]));
        result
    }
}
