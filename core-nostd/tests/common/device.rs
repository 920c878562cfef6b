//! Endpoints of every size that is used, behind one face: a world mixes them.

use hushwire_core::{
    crypto::Software,
    endpoint::{Config, Cx, Endpoint, EndpointError, Handled, SendError},
    identity::{Address, IdentityPublic, SoftwareIdentity},
    limits::{DEVICE_QUEUE, MAX_WINDOW},
    wire::MessageId,
};
use rand_chacha::ChaCha20Rng;

use super::store::{MemoryStore, PowerLost, SKIP};

pub const PREKEYS: usize = 8;

type Identity = SoftwareIdentity;
/// Of a laptop: 64 places, 8 links.
pub type Host = Endpoint<Identity, Software, SKIP, PREKEYS>;
/// Of a device with one relay.
pub type Small = Endpoint<Identity, Software, SKIP, PREKEYS, DEVICE_QUEUE, 1>;
/// Of a device with two relays.
pub type SmallWithTwoLinks = Endpoint<Identity, Software, SKIP, PREKEYS, DEVICE_QUEUE, 2>;

type Lent<'a, 'b> = &'a mut Cx<'b, MemoryStore, ChaCha20Rng>;

/// Which endpoint a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Host,
    Small,
    SmallWithTwoLinks,
}

impl Size {
    /// Deliveries that it takes at once.
    pub fn window(self) -> usize {
        match self {
            Self::Host => MAX_WINDOW,
            Self::Small => 1,
            Self::SmallWithTwoLinks => 2,
        }
    }
}

pub enum Device {
    Host(Box<Host>),
    Small(Box<Small>),
    SmallWithTwoLinks(Box<SmallWithTwoLinks>),
}

/// The same call of whichever endpoint it is.
macro_rules! each {
    ($device:expr, $endpoint:ident => $call:expr) => {
        match $device {
            Device::Host($endpoint) => $call,
            Device::Small($endpoint) => $call,
            Device::SmallWithTwoLinks($endpoint) => $call,
        }
    };
}

impl Device {
    pub fn new(size: Size, identity: Identity, config: Config, cx: Lent<'_, '_>) -> Self {
        match size {
            Size::Host => Self::Host(Box::new(
                Endpoint::new(identity, Software, config, cx).unwrap(),
            )),
            Size::Small => Self::Small(Box::new(
                Endpoint::new(identity, Software, config, cx).unwrap(),
            )),
            Size::SmallWithTwoLinks => Self::SmallWithTwoLinks(Box::new(
                Endpoint::new(identity, Software, config, cx).unwrap(),
            )),
        }
    }

    pub fn load(size: Size, identity: Identity, config: Config, own: &[u8]) -> Self {
        match size {
            Size::Host => Self::Host(Box::new(
                Endpoint::load(identity, Software, config, own).unwrap(),
            )),
            Size::Small => Self::Small(Box::new(
                Endpoint::load(identity, Software, config, own).unwrap(),
            )),
            Size::SmallWithTwoLinks => Self::SmallWithTwoLinks(Box::new(
                Endpoint::load(identity, Software, config, own).unwrap(),
            )),
        }
    }

    pub fn address(&self) -> Address {
        each!(self, endpoint => endpoint.address())
    }

    pub fn identity(&self) -> &IdentityPublic {
        each!(self, endpoint => endpoint.identity())
    }

    pub fn reconcile(&mut self, spent: u32) {
        each!(self, endpoint => endpoint.reconcile(spent));
    }

    pub fn send(
        &mut self,
        cx: Lent<'_, '_>,
        to: &Address,
        body: &[u8],
    ) -> Result<MessageId, SendError<PowerLost>> {
        each!(self, endpoint => endpoint.send(cx, to, body))
    }

    pub fn handle_frame(
        &mut self,
        cx: Lent<'_, '_>,
        link: u8,
        frame: &mut [u8],
    ) -> Result<Handled, EndpointError<PowerLost>> {
        each!(self, endpoint => endpoint.handle_frame(cx, link, frame))
    }

    pub fn poll_transmit(
        &mut self,
        cx: Lent<'_, '_>,
        link: u8,
        out: &mut [u8],
    ) -> Result<Option<usize>, EndpointError<PowerLost>> {
        each!(self, endpoint => endpoint.poll_transmit(cx, link, out))
    }

    pub fn poll_timeout(
        &mut self,
        cx: Lent<'_, '_>,
    ) -> Result<Option<u64>, EndpointError<PowerLost>> {
        each!(self, endpoint => endpoint.poll_timeout(cx))
    }

    pub fn disconnected(
        &mut self,
        cx: Lent<'_, '_>,
        link: u8,
    ) -> Result<(), EndpointError<PowerLost>> {
        each!(self, endpoint => endpoint.disconnected(cx, link))
    }
}
