//! The driver against the model.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::vec;
use std::vec::Vec;

use embassy_net_driver::{Driver, LinkState, RxToken, TxToken};

use crate::chip::{Chip, Fault};
use crate::driver::{Irq, Lan9118};
use crate::frames::MAX_FRAME;
use crate::model::{Fails, Model};

const ADDRESS: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];

/// Reads that no single call may need: a few waits that were given up.
const BOUND: usize = 1_000_000;

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A started controller, and somebody who waits for it.
struct Desk<'a> {
    model: &'a RefCell<Model>,
    irq: Irq<&'a RefCell<Model>>,
    woken: Arc<Woken>,
}

impl<'a> Desk<'a> {
    fn new(model: &'a RefCell<Model>) -> Self {
        let chip = Chip::start(model, ADDRESS).unwrap();
        Self {
            model,
            irq: Irq::new(chip),
            woken: Arc::default(),
        }
    }

    fn with<T>(
        &self,
        f: impl FnOnce(&mut Lan9118<'_, &'a RefCell<Model>>, &mut Context<'_>) -> T,
    ) -> T {
        let waker = Waker::from(self.woken.clone());
        let mut driver = Lan9118::new(&self.irq, ADDRESS);
        f(&mut driver, &mut Context::from_waker(&waker))
    }

    fn receive(&self) -> Option<Vec<u8>> {
        self.with(|driver, cx| {
            let (token, _room) = driver.receive(cx)?;
            Some(token.consume(|frame| frame.to_vec()))
        })
    }

    fn send(&self, bytes: &[u8]) -> bool {
        self.with(|driver, cx| {
            let Some(room) = driver.transmit(cx) else {
                return false;
            };
            room.consume(bytes.len(), |frame| frame.copy_from_slice(bytes));
            true
        })
    }

    fn is_up(&self) -> bool {
        self.with(|driver, cx| driver.link_state(cx) == LinkState::Up)
    }

    /// The processor's part: the handler runs while the line is up. Returns how often it woke.
    fn run_interrupts(&self) -> usize {
        let before = self.woken.0.load(Ordering::SeqCst);
        for _ in 0..10 {
            if !self.model.borrow().interrupts() {
                return self.woken.0.load(Ordering::SeqCst) - before;
            }
            self.irq.handle();
        }
        panic!("the line stays up: an interrupt storm");
    }
}

fn noise(seed: &mut u32) -> u32 {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    *seed >> 8
}

fn frame(len: usize, seed: &mut u32) -> Vec<u8> {
    (0..len).map(|_| noise(seed) as u8).collect()
}

#[test]
fn the_start_sets_address_and_both_directions() {
    let model = Model::new();
    let _desk = Desk::new(&model);
    let mac = model.borrow().mac;
    assert_eq!((mac[3], mac[2]), (0x3322_1102, 0x5544));
    assert_eq!(mac[1] & 0b1100, 0b1100);
}

#[test]
fn frames_of_every_length_come_and_go_whole() {
    let model = Model::new();
    let desk = Desk::new(&model);
    let mut seed = 1;
    for len in 14..=MAX_FRAME {
        let bytes = frame(len, &mut seed);
        model.borrow_mut().arrives(&bytes, false);
        assert_eq!(desk.receive().as_ref(), Some(&bytes));
        assert_eq!(desk.receive(), None);
        assert!(desk.send(&bytes));
        assert_eq!(model.borrow_mut().sent.pop(), Some(bytes));
    }
    assert_eq!(model.borrow().dumps, 0);
}

#[test]
fn bursts_of_good_and_bad_keep_their_order() {
    let model = Model::new();
    let desk = Desk::new(&model);
    let mut seed = 7;
    for _ in 0..300 {
        let mut good = Vec::new();
        for _ in 0..noise(&mut seed) % 6 {
            let len = 14 + noise(&mut seed) as usize % 1600;
            let bytes = frame(len, &mut seed);
            let is_damaged = noise(&mut seed).is_multiple_of(4);
            let before = model.borrow().dropped;
            model.borrow_mut().arrives(&bytes, is_damaged);
            if model.borrow().dropped == before && !is_damaged && len <= MAX_FRAME {
                good.push(bytes);
            }
        }
        let taken: Vec<_> = std::iter::from_fn(|| desk.receive()).collect();
        assert_eq!(taken, good);
    }
    assert_eq!(model.borrow().dumps, 0, "it never lost its place");
}

#[test]
fn a_full_fifo_drops_what_comes_and_keeps_what_is_there() {
    let model = Model::new();
    let desk = Desk::new(&model);
    for n in 0..20 {
        model.borrow_mut().arrives(&[n; 1500], false);
    }
    let dropped = model.borrow().dropped;
    assert!(dropped > 0);
    for n in 0..20 - dropped as u8 {
        assert_eq!(desk.receive(), Some(vec![n; 1500]));
    }
    assert_eq!(desk.receive(), None);
}

#[test]
fn a_token_that_is_not_used_loses_nothing() {
    let model = Model::new();
    let desk = Desk::new(&model);
    model.borrow_mut().arrives(&[1; 60], false);
    model.borrow_mut().arrives(&[2; 61], false);
    assert!(desk.with(|driver, cx| driver.receive(cx).is_some()));
    assert_eq!(desk.receive(), Some(vec![1; 60]));
    assert_eq!(desk.receive(), Some(vec![2; 61]));
}

#[test]
fn what_is_out_of_step_is_emptied_and_goes_on() {
    let model = Model::new();
    let desk = Desk::new(&model);
    model.borrow_mut().arrives(&[1; 60], false);
    model.borrow_mut().slips();
    // The last word of it is missing: the chip says that it was read beyond its end.
    assert!(desk.receive().is_some());
    desk.run_interrupts();
    assert_eq!(desk.receive(), None);
    assert_eq!(model.borrow().dumps, 1);
    model.borrow_mut().arrives(&[2; 60], false);
    assert_eq!(desk.receive(), Some(vec![2; 60]));
    // And once more: the error is heard again.
    model.borrow_mut().arrives(&[3; 60], false);
    model.borrow_mut().slips();
    assert!(desk.receive().is_some());
    desk.run_interrupts();
    assert_eq!(desk.receive(), None);
    assert_eq!(model.borrow().dumps, 2);
}

#[test]
fn no_room_is_seen_and_old_status_is_drained() {
    let model = Model::new();
    let desk = Desk::new(&model);
    {
        let mut model = model.borrow_mut();
        model.tx_used = 4000;
        model.unread_status = 3;
        model.arrives(&[5; 60], false);
    }
    assert!(!desk.send(&[9; 60]));
    assert_eq!(desk.receive(), None, "an answer would have no place");
    model.borrow_mut().tx_used = 0;
    assert!(desk.send(&[9; 60]));
    assert_eq!(
        model.borrow().unread_status,
        1,
        "only the new one is left to read"
    );
    assert_eq!(desk.receive(), Some(vec![5; 60]));
}

#[test]
fn an_interrupt_wakes_once_and_again_after_a_look() {
    let model = Model::new();
    let desk = Desk::new(&model);
    assert_eq!(desk.receive(), None);
    assert_eq!(desk.run_interrupts(), 0);
    model.borrow_mut().arrives(&[1; 60], false);
    assert_eq!(desk.run_interrupts(), 1);
    model.borrow_mut().arrives(&[2; 60], false);
    assert_eq!(desk.run_interrupts(), 0, "nobody looked in between");
    assert!(desk.receive().is_some());
    assert!(desk.receive().is_some());
    assert_eq!(desk.receive(), None);
    model.borrow_mut().arrives(&[3; 60], false);
    assert_eq!(desk.run_interrupts(), 1);
}

#[test]
fn the_cable_is_seen_to_go_and_come() {
    let model = Model::new();
    let desk = Desk::new(&model);
    assert!(desk.is_up());
    model.borrow_mut().plug(false);
    assert_eq!(desk.run_interrupts(), 1);
    assert!(!desk.is_up());
    model.borrow_mut().plug(true);
    assert_eq!(desk.run_interrupts(), 1);
    assert!(desk.is_up());
    let before = model.borrow().reads;
    assert!(desk.is_up());
    assert_eq!(model.borrow().reads, before, "without news nobody asks");
}

#[test]
fn the_mac_takes_what_was_agreed() {
    for (partner, is_full) in [
        (0x45e1, true),
        (0x00e1, false),
        (0x0061, true),
        (0x0021, false),
    ] {
        let model = Model::new();
        model.borrow_mut().phy[5] = partner;
        let desk = Desk::new(&model);
        assert!(desk.is_up());
        let control = model.borrow().mac[1];
        assert_eq!(control & 1 << 20 != 0, is_full, "{partner:#x}");
        assert_eq!(control & 0b1100, 0b1100, "and goes on");
    }
}

#[test]
fn a_controller_that_does_not_answer_gives_an_error() {
    for (fails, fault) in [
        (Fails::NoChip, Fault::NoChip),
        (Fails::StuckInReset, Fault::Reset),
        (Fails::StuckMac, Fault::Mac),
        (Fails::StuckPhy, Fault::Mac),
    ] {
        let model = Model::failing(fails);
        assert_eq!(Chip::start(&model, ADDRESS).err(), Some(fault));
        assert!(model.borrow().reads < BOUND);
    }
}

#[test]
fn a_controller_that_fails_later_gives_nothing_and_no_hang() {
    for fails in [
        Fails::Lies,
        Fails::Boasts,
        Fails::Full,
        Fails::StuckMac,
        Fails::StuckPhy,
    ] {
        let model = Model::new();
        let desk = Desk::new(&model);
        {
            let mut model = model.borrow_mut();
            model.plug(false);
            model.fails = fails;
            model.reads = 0;
        }
        desk.run_interrupts();
        assert_eq!(desk.receive(), None, "{fails:?}");
        assert!(!desk.is_up(), "{fails:?}");
        desk.run_interrupts();
        assert!(model.borrow().reads < BOUND, "{fails:?}");
        let empties = fails == Fails::Boasts;
        assert_eq!(model.borrow().dumps, usize::from(empties), "{fails:?}");
    }
}
