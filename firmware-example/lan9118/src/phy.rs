//! The PHY on the chip: whether the cable is in, and what was agreed over it.

use crate::chip::{Chip, Fault, int, mac};
use crate::registers::Registers;

/// Registers of the PHY. IEEE 802.3 22.2.4; the last two are the maker's.
mod mii {
    pub(super) const CONTROL: u32 = 0;
    pub(super) const STATUS: u32 = 1;
    pub(super) const ADVERTISED: u32 = 4;
    pub(super) const PARTNER: u32 = 5;
    pub(super) const INT_SOURCE: u32 = 29;
    pub(super) const INT_MASK: u32 = 30;
}

const NEGOTIATE: u32 = 1 << 12 | 1 << 9;
const NEGOTIATED: u32 = 1 << 5;
const LINK: u32 = 1 << 2;
/// 100BASE-TX in both directions; in one; 10BASE-T in both.
const FULL_100: u32 = 1 << 8;
const HALF_100: u32 = 1 << 7;
const FULL_10: u32 = 1 << 6;
/// Negotiation has ended, the link has gone.
const NEWS: u32 = 1 << 6 | 1 << 4;

/// The internal PHY's address; MII management wants it with each access.
const ADDRESS: u32 = 1 << 11;
const WRITE: u32 = 1 << 1;
const MII_BUSY: u32 = 1;
/// An access takes 64 bits at 2.5 MHz.
const PATIENCE: u32 = 1000;

impl<R: Registers> Chip<R> {
    pub(crate) fn start_phy(&mut self) -> Result<(), Fault> {
        self.phy_write(mii::CONTROL, NEGOTIATE)?;
        self.phy_read(mii::INT_SOURCE)?;
        self.phy_write(mii::INT_MASK, NEWS)
    }

    /// Whether the cable is in and both ends agree. The PHY is asked only after it said that
    /// something changed.
    pub fn link_is_up(&mut self) -> bool {
        if self.link_is_news {
            self.link_is_news = false;
            // Reading quiets the PHY; only then may it be heard again.
            let heard = self.phy_read(mii::INT_SOURCE);
            self.listen(int::PHY);
            self.link_is_up = heard.is_ok() && self.look_at_link() == Ok(true);
        }
        self.link_is_up
    }

    fn look_at_link(&mut self) -> Result<bool, Fault> {
        // A link that was gone in between is told once, whatever it is now.
        self.phy_read(mii::STATUS)?;
        let is_up = self.phy_read(mii::STATUS)? & (LINK | NEGOTIATED) == LINK | NEGOTIATED;
        if is_up {
            let common = self.phy_read(mii::ADVERTISED)? & self.phy_read(mii::PARTNER)?;
            let both_ways = common & FULL_100 != 0 || common & (HALF_100 | FULL_10) == FULL_10;
            let control = self.mac_read(mac::CR)? & !mac::CR_FULL_DUPLEX;
            let duplex = if both_ways { mac::CR_FULL_DUPLEX } else { 0 };
            self.mac_write(mac::CR, control | duplex)?;
        }
        Ok(is_up)
    }

    fn phy_read(&mut self, register: u32) -> Result<u32, Fault> {
        self.phy_access(register << 6)?;
        Ok(self.mac_read(mac::MII_DATA)? & 0xffff)
    }

    fn phy_write(&mut self, register: u32, value: u32) -> Result<(), Fault> {
        self.phy_wait()?;
        self.mac_write(mac::MII_DATA, value)?;
        self.phy_access(register << 6 | WRITE)
    }

    fn phy_access(&mut self, what: u32) -> Result<(), Fault> {
        self.phy_wait()?;
        self.mac_write(mac::MII_ACC, ADDRESS | what | MII_BUSY)?;
        self.phy_wait()
    }

    fn phy_wait(&mut self) -> Result<(), Fault> {
        for _ in 0..PATIENCE {
            if self.mac_read(mac::MII_ACC)? & MII_BUSY == 0 {
                return Ok(());
            }
        }
        Err(Fault::Mac)
    }
}
