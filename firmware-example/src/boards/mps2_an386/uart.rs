//! The console on UART 0: rings, filled and emptied by interrupts.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;

use cortex_m::peripheral::NVIC;
use critical_section::Mutex;
use embassy_sync::waitqueue::AtomicWaker;
use embedded_io_async::{ErrorType, Read, Write};
use heapless::Deque;

use super::Interrupt;

const DATA: *mut u32 = 0x4000_4000 as *mut u32;
const STATE: *const u32 = 0x4000_4004 as *const u32;
const CONTROL: *mut u32 = 0x4000_4008 as *mut u32;
const CLEAR: *mut u32 = 0x4000_400c as *mut u32;
const BAUD_DIVIDER: *mut u32 = 0x4000_4010 as *mut u32;

const TX_FULL: u32 = 1;
const RX_FULL: u32 = 1 << 1;
/// Send, receive, interrupt on both.
const ALL_ON: u32 = 0b1111;

static INPUT: Mutex<RefCell<Deque<u8, 256>>> = Mutex::new(RefCell::new(Deque::new()));
static OUTPUT: Mutex<RefCell<Deque<u8, 256>>> = Mutex::new(RefCell::new(Deque::new()));
static ARRIVED: AtomicWaker = AtomicWaker::new();
static ROOM: AtomicWaker = AtomicWaker::new();

/// The console.
#[derive(Debug)]
pub(crate) struct Console(());

impl Console {
    pub(super) fn start() -> Self {
        // SAFETY: registers of this UART, which only this file uses.
        unsafe {
            BAUD_DIVIDER.write_volatile(217);
            CONTROL.write_volatile(ALL_ON);
        }
        // SAFETY: the handlers exist, and what they use is static.
        unsafe {
            NVIC::unmask(Interrupt::UartRx);
            NVIC::unmask(Interrupt::UartTx);
        }
        Self(())
    }
}

/// Both directions' handler.
pub(super) fn interrupted() {
    // SAFETY: INTCLEAR, both bits.
    unsafe { CLEAR.write_volatile(3) };
    receive();
    send();
}

fn receive() {
    critical_section::with(|cs| {
        let mut input = INPUT.borrow_ref_mut(cs);
        // SAFETY: STATE and DATA; a byte is read only while one is there and has a place.
        while !input.is_full() && unsafe { STATE.read_volatile() } & RX_FULL != 0 {
            // SAFETY: as above.
            let byte = unsafe { DATA.read_volatile() } as u8;
            // There is room: just looked.
            let _ = input.push_back(byte);
        }
    });
    ARRIVED.wake();
}

fn send() {
    critical_section::with(|cs| {
        let mut output = OUTPUT.borrow_ref_mut(cs);
        // SAFETY: STATE and DATA; a byte is written only while there is room.
        while unsafe { STATE.read_volatile() } & TX_FULL == 0
            && let Some(byte) = output.pop_front()
        {
            // SAFETY: as above.
            unsafe { DATA.write_volatile(u32::from(byte)) };
        }
    });
    ROOM.wake();
}

/// Last words, with interrupts off: waits for each byte, but not for ever.
pub(super) fn say(text: &str) {
    for byte in text.bytes() {
        for _ in 0..1_000_000 {
            // SAFETY: STATE; reading it changes nothing.
            if unsafe { STATE.read_volatile() } & TX_FULL == 0 {
                break;
            }
        }
        // SAFETY: DATA; at worst a byte is lost.
        unsafe { DATA.write_volatile(u32::from(byte)) };
    }
}

/// What a panic says, with interrupts off.
pub(crate) struct LastWords;

impl core::fmt::Write for LastWords {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        say(text);
        Ok(())
    }
}

impl ErrorType for Console {
    type Error = Infallible;
}

impl Read for Console {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let len = poll_fn(|cx| {
            ARRIVED.register(cx.waker());
            let len = critical_section::with(|cs| {
                let mut input = INPUT.borrow_ref_mut(cs);
                let mut len = 0;
                for slot in &mut *buffer {
                    let Some(byte) = input.pop_front() else { break };
                    *slot = byte;
                    len += 1;
                }
                len
            });
            if len == 0 && !buffer.is_empty() {
                return Poll::Pending;
            }
            Poll::Ready(len)
        })
        .await;
        // A byte may have waited in the UART for room in the ring.
        receive();
        Ok(len)
    }
}

impl Write for Console {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let len = poll_fn(|cx| {
            ROOM.register(cx.waker());
            let len = critical_section::with(|cs| {
                let mut output = OUTPUT.borrow_ref_mut(cs);
                let mut len = 0;
                while let Some(byte) = bytes.get(len)
                    && output.push_back(*byte).is_ok()
                {
                    len += 1;
                }
                len
            });
            if len == 0 && !bytes.is_empty() {
                return Poll::Pending;
            }
            Poll::Ready(len)
        })
        .await;
        send();
        Ok(len)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        poll_fn(|cx| {
            ROOM.register(cx.waker());
            let is_empty = critical_section::with(|cs| OUTPUT.borrow_ref(cs).is_empty());
            // SAFETY: STATE; reading it changes nothing. The UART says by interrupt when it has sent.
            if is_empty && unsafe { STATE.read_volatile() } & TX_FULL == 0 {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        })
        .await
    }
}
