//! A reader and a writer that cannot run past their slice. Little numbers, big-endian.

/// Takes fields off the front of a slice; `None` where it ends too early.
#[derive(Clone)]
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    pub(crate) fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Five bytes: seconds for 34,000 years.
    pub(crate) fn u40(&mut self) -> Option<u64> {
        let [a, b, c, d, e] = self.array()?;
        Some(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Puts fields into a slice; what does not fit makes [`Self::len`] return `None`.
pub(crate) struct Put<'a> {
    room: &'a mut [u8],
    len: usize,
    whole: bool,
}

impl<'a> Put<'a> {
    pub(crate) const fn new(room: &'a mut [u8]) -> Self {
        Self {
            room,
            len: 0,
            whole: true,
        }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.len.saturating_add(bytes.len());
        match self.room.get_mut(self.len..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            None => self.whole = false,
        }
        self
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn u40(&mut self, value: u64) -> &mut Self {
        let [_, _, _, a, b, c, d, e] = value.min((1 << 40) - 1).to_be_bytes();
        self.put(&[a, b, c, d, e])
    }

    /// What is left of the slice, for a writer of its own; then [`Self::skip`] what it wrote.
    pub(crate) fn rest(&mut self) -> &mut [u8] {
        self.room.get_mut(self.len..).unwrap_or_default()
    }

    pub(crate) fn skip(&mut self, len: usize) -> &mut Self {
        let end = self.len.saturating_add(len);
        if end <= self.room.len() {
            self.len = end;
        } else {
            self.whole = false;
        }
        self
    }

    /// Bytes written, if all of them fitted.
    pub(crate) fn len(&self) -> Option<usize> {
        self.whole.then_some(self.len)
    }
}
