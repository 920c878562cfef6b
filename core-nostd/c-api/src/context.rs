//! Contexts: memory of the caller's in which a Rust value lives, behind a tag that says so.
//!
//! ```text
//! zeroed ──claim, fill──> live ──hold──> busy ──drop──> live            any ──wipe──> zeroed
//!                                          └──spoil──> stale
//! ```
//! The typestates of the core become a checked tag here. It is bound to the address, so a context
//! that was copied elsewhere is refused: two copies of a ratchet would use one key twice.

use core::{
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
    ptr,
};

use zeroize::Zeroize as _;

use crate::{memory::Memory, status::Status};

/// What lies in a context.
#[repr(C)]
pub(crate) struct Cell<S> {
    tag: u64,
    state: MaybeUninit<S>,
}

/// A type that the header declares as so many words, and what lies in it.
///
/// # Safety
/// The type is an array of `u64` at least as long as `Cell<State>`, and `State` needs no more than
/// its alignment.
pub(crate) unsafe trait Context: Sized {
    /// The value inside.
    type State;
    /// Tells this kind of context, and this layout of it, from others.
    const MARK: u64;
}

/// Declares what lies in a context, and proves that it fits on the target that is compiled for.
macro_rules! context {
    ($name:ident holds $state:ty, marked $mark:literal) => {
        const _: () = {
            use crate::context::Cell;
            assert!(size_of::<Cell<$state>>() <= size_of::<$name>());
            assert!(align_of::<Cell<$state>>() <= align_of::<$name>());
        };

        // SAFETY: an array of u64; the assertions above hold its length and alignment.
        unsafe impl crate::context::Context for $name {
            type State = $state;
            const MARK: u64 = u64::from_be_bytes(*$mark);
        }
    };
}
pub(crate) use context;

const fn live(mark: u64, at: usize) -> u64 {
    mark ^ at as u64
}

const fn busy(mark: u64, at: usize) -> u64 {
    !live(mark, at)
}

const fn stale(mark: u64, at: usize) -> u64 {
    stale_of(live(mark, at))
}

const fn stale_of(live: u64) -> u64 {
    live.rotate_left(32)
}

/// The tag of a context in one call, set to busy: a call-back that uses the context again is refused.
/// Tag and value are only ever reached by pointer, apart from each other.
struct Busy {
    tag: *mut u64,
    /// The tag when the call ends.
    after: u64,
}

impl Busy {
    /// Sets a checked tag to busy if it is `expected`. One for all kinds: flash is dear.
    #[inline(never)]
    fn enter(tag: *mut u64, mark: u64, expected: u64) -> Result<Self, Status> {
        // SAFETY: checked and aligned; a context is zeroed before its first use, so initialised.
        let found = unsafe { tag.read() };
        if found == stale(mark, tag.addr()) {
            return Err(Status::Stale);
        }
        if found != expected {
            return Err(Status::State);
        }
        // SAFETY: the same place; nobody holds a reference to it.
        unsafe { tag.write(busy(mark, tag.addr())) };
        Ok(Self { tag, after: found })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // SAFETY: checked when this was made, within the same call.
        unsafe { self.tag.write(self.after) };
    }
}

/// Where tag and value of a context are. The tag stands first, so its address is the context's.
fn split<C: Context>(
    memory: &mut Memory<'_>,
    at: *mut C,
) -> Result<(*mut u64, *mut C::State), Status> {
    let cell = memory.context(at)?.cast::<Cell<C::State>>();
    // SAFETY: not null and large enough; no reference is made.
    let tag = unsafe { &raw mut (*cell).tag };
    // SAFETY: as above.
    let state = unsafe { &raw mut (*cell).state };
    Ok((tag, state.cast()))
}

/// A zeroed context that is about to be filled. Dropped before that, it is zeroed still.
pub(crate) struct Vacant<S> {
    busy: Busy,
    state: *mut S,
    live: u64,
}

impl<S> Vacant<S> {
    /// Claims a context that holds nothing.
    pub(crate) fn claim<C: Context<State = S>>(
        memory: &mut Memory<'_>,
        at: *mut C,
    ) -> Result<Self, Status> {
        let (tag, state) = split(memory, at)?;
        Ok(Self {
            busy: Busy::enter(tag, C::MARK, 0)?,
            state,
            live: live(C::MARK, tag.addr()),
        })
    }

    /// Puts the value in; the context is live from here on.
    pub(crate) fn fill(self, state: S) -> Held<S> {
        let Self {
            mut busy,
            state: place,
            live,
        } = self;
        // SAFETY: the context is at least a Cell<S>, is ours for this call, and holds no value yet.
        unsafe { place.write(state) };
        busy.after = live;
        Held {
            busy,
            state: place,
            stale: stale_of(live),
        }
    }
}

/// A context that holds a value, for the time of one call.
pub(crate) struct Held<S> {
    busy: Busy,
    state: *mut S,
    stale: u64,
}

impl<S> Held<S> {
    /// Takes hold of a live context.
    pub(crate) fn of<C: Context<State = S>>(
        memory: &mut Memory<'_>,
        at: *mut C,
    ) -> Result<Self, Status> {
        let (tag, state) = split(memory, at)?;
        Ok(Self {
            busy: Busy::enter(tag, C::MARK, live(C::MARK, tag.addr()))?,
            state,
            stale: stale(C::MARK, tag.addr()),
        })
    }

    /// What RAM holds is ahead of storage: the context takes no further call but a wipe.
    pub(crate) const fn spoil(&mut self) {
        self.busy.after = self.stale;
    }

    /// What was filled in comes to nothing after all: the context is zeroed again.
    pub(crate) fn discard(mut self) {
        self.busy.after = 0;
        // SAFETY: a value lies there, and with a tag of zero it is never looked at again.
        unsafe { ptr::drop_in_place(self.state) };
        // SAFETY: the place is ours for this call, and holds no value any more.
        unsafe { ptr::write_bytes(self.state, 0, 1) };
    }

    /// Keeps what was filled in if all that had to follow was done, else discards it.
    pub(crate) fn keep_if(self, done: Result<(), Status>) -> Result<(), Status> {
        if done.is_err() {
            self.discard();
        }
        done
    }
}

impl<S> Deref for Held<S> {
    type Target = S;

    fn deref(&self) -> &S {
        // SAFETY: the tag was live, so `fill` has put a value there, and busy keeps others out.
        unsafe { &*self.state }
    }
}

impl<S> DerefMut for Held<S> {
    fn deref_mut(&mut self) -> &mut S {
        // SAFETY: as above, and this is the only hold on it.
        unsafe { &mut *self.state }
    }
}

/// Wipes whatever a context holds; it is then as at first. A zeroed one stays so.
pub(crate) fn wipe<C: Context>(memory: &mut Memory<'_>, at: *mut C) -> Result<(), Status> {
    let (tag, state) = split(memory, at)?;
    // SAFETY: checked and aligned; a context is zeroed before its first use, so initialised.
    let found = unsafe { tag.read() };
    let held = [live(C::MARK, tag.addr()), stale(C::MARK, tag.addr())];
    if found == 0 {
        return Ok(());
    }
    if !held.contains(&found) {
        return Err(Status::State);
    }
    // SAFETY: the tag says that a value lies there, and the tag is zeroed below: dropped once.
    unsafe { ptr::drop_in_place(state) };
    // What the value's own drop did not wipe, its public parts and padding, goes too.
    // SAFETY: the context is ours for this call; it is an array of integers, so any bytes do.
    let words = unsafe { core::slice::from_raw_parts_mut(at.cast::<u64>(), size_of::<C>() / 8) };
    words.zeroize();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[derive(Clone, Copy)]
    #[repr(C)]
    struct Four([u64; 4]);
    context!(Four holds Rc<u8>, marked b"testctx1");

    fn memory() -> Memory<'static> {
        // SAFETY: the contexts below outlive each call's use of them.
        unsafe { Memory::of_this_call() }
    }

    fn fill(context: *mut Four, value: Rc<u8>) -> Result<(), Status> {
        Vacant::claim(&mut memory(), context).map(|vacant| drop(vacant.fill(value)))
    }

    #[test]
    fn a_context_is_filled_once_held_once_and_dropped_once() {
        let (mut context, value) = (Four([0; 4]), Rc::new(7));
        let at = &raw mut context;
        assert_eq!(Held::of(&mut memory(), at).err(), Some(Status::State));
        assert_eq!(fill(at, value.clone()), Ok(()));
        assert_eq!(fill(at, value.clone()), Err(Status::State));
        let held = Held::of(&mut memory(), at).unwrap();
        assert_eq!(**held, 7);
        assert_eq!(
            Held::of(&mut memory(), at).err(),
            Some(Status::State),
            "busy"
        );
        assert_eq!(wipe(&mut memory(), at), Err(Status::State), "busy");
        drop(held);
        assert_eq!(Rc::strong_count(&value), 2);
        assert_eq!(wipe(&mut memory(), at), Ok(()));
        assert_eq!(wipe(&mut memory(), at), Ok(()), "zeroed already");
        assert_eq!(Rc::strong_count(&value), 1);
        assert_eq!(context.0, [0; 4]);
    }

    #[test]
    fn a_copy_and_a_stranger_are_refused() {
        let mut context = Four([0; 4]);
        assert_eq!(fill(&raw mut context, Rc::new(7)), Ok(()));
        let mut copy = context;
        let refused = Held::of(&mut memory(), &raw mut copy).err();
        assert_eq!(refused, Some(Status::State));
        assert_eq!(wipe(&mut memory(), &raw mut copy), Err(Status::State));
        let mut garbage = Four([0x5a5a_5a5a; 4]);
        assert_eq!(fill(&raw mut garbage, Rc::new(1)), Err(Status::State));
        assert_eq!(wipe(&mut memory(), &raw mut context), Ok(()));
    }

    #[test]
    fn a_spoiled_context_takes_only_a_wipe() {
        let mut context = Four([0; 4]);
        let at = &raw mut context;
        assert_eq!(fill(at, Rc::new(7)), Ok(()));
        Held::of(&mut memory(), at).unwrap().spoil();
        assert_eq!(Held::of(&mut memory(), at).err(), Some(Status::Stale));
        assert_eq!(fill(at, Rc::new(7)), Err(Status::Stale));
        assert_eq!(wipe(&mut memory(), at), Ok(()));
        assert_eq!(fill(at, Rc::new(8)), Ok(()));
        assert_eq!(wipe(&mut memory(), at), Ok(()));
    }

    #[test]
    fn a_claim_that_comes_to_nothing_leaves_nothing() {
        let mut context = Four([0; 4]);
        drop(Vacant::claim(&mut memory(), &raw mut context).unwrap());
        assert_eq!(context.0[0], 0);
    }
}
