//! The listeners that the settings ask for, and the URLs by which clients come to them.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::config::Config;
#[cfg(any(feature = "websocket", feature = "tls"))]
use crate::entrance::Coat;
use crate::entrance::Entrance;
use crate::key::RelayKey;
use crate::start::StartError;

/// All that listens for clients.
pub(crate) struct Entrances {
    pub(crate) entrances: Vec<Entrance>,
    /// A line for each way in, TCP's first.
    pub(crate) urls: String,
}

/// What TLS shows, for as long as the relay runs: SIGHUP reads it again, and ends no relay from here on.
pub(crate) struct Certificate {
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Tls>,
    _reload: OnHangup,
}

impl Certificate {
    #[cfg_attr(
        not(feature = "tls"),
        allow(unused_variables, reason = "there is none without TLS")
    )]
    pub(crate) fn load(config: &Config) -> Result<Self, StartError> {
        #[cfg(feature = "tls")]
        let tls = match &config.tls {
            Some(settings) => Some(crate::tls::Tls::load(&settings.cert, &settings.key)?),
            None => None,
        };
        #[cfg(feature = "tls")]
        let again = tls.clone();
        let reload = move || {
            #[cfg(feature = "tls")]
            match again.as_ref().map(crate::tls::Tls::reload) {
                Some(Ok(())) => tracing::info!("the certificate was read again"),
                Some(Err(error)) => {
                    tracing::error!(%error, "the certificate stays the one that it was");
                }
                None => {}
            }
        };
        let reload =
            OnHangup::new(reload).map_err(|error| StartError::Machine(error.to_string()))?;
        Ok(Self {
            #[cfg(feature = "tls")]
            tls,
            _reload: reload,
        })
    }
}

/// Opens every listener of the settings, and writes into them where each is: opened once more, it has
/// the same port.
#[cfg_attr(
    not(feature = "tls"),
    allow(unused_variables, reason = "there is none without TLS")
)]
pub(crate) async fn open(
    config: &mut Config,
    key: &RelayKey,
    certificate: &Certificate,
) -> Result<Entrances, StartError> {
    let listener = listen(&mut config.listen).await?;
    let first = config.listen;
    let mut urls = String::new();
    let advertise = config.advertise.as_deref();
    let mut say = |scheme: &str, port| {
        let host = advertised(advertise, first, port);
        // Writing to a string does not fail.
        let _ = writeln!(urls, "{scheme}://{host}/#{}", key.public());
    };
    say("hush", None);
    #[allow(unused_mut, reason = "without features there is one entrance")]
    let mut entrances = vec![Entrance::plain(listener)];

    #[cfg(feature = "websocket")]
    if let Some(address) = &mut config.listen_ws {
        let listener = listen(address).await?;
        let coat = Coat::WebSocket;
        entrances.push(Entrance { listener, coat });
        say("hush+ws", Some(*address));
        tracing::info!(listen = %address, "the relay takes WebSockets");
    }
    #[cfg(feature = "tls")]
    if let (Some(settings), Some(tls)) = (&mut config.tls, &certificate.tls) {
        let listener = listen(&mut settings.listen).await?;
        let at = settings.listen;
        let coat = Coat::Tls(tls.clone());
        entrances.push(Entrance { listener, coat });
        say("hush+tls", Some(at));
        #[cfg(feature = "websocket")]
        say("hush+wss", Some(at));
        tracing::info!(listen = %at, "the relay takes TLS");
    }
    Ok(Entrances { entrances, urls })
}

async fn listen(address: &mut SocketAddr) -> Result<TcpListener, StartError> {
    let wanted = *address;
    let failed = |error| StartError::Listen(wanted, error);
    let listener = TcpListener::bind(wanted).await.map_err(failed)?;
    *address = listener.local_addr().map_err(failed)?;
    Ok(listener)
}

/// What a URL says for the first listener, or for another one: each advertised host with its port.
fn advertised(name: Option<&str>, first: SocketAddr, other: Option<SocketAddr>) -> String {
    match (name, other) {
        (None, None) => first.to_string(),
        (None, Some(other)) => other.to_string(),
        (Some(name), None) => name.to_owned(),
        (Some(name), Some(other)) => {
            let places = name.split(',').map(|place| {
                let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
                format!("{host}:{}", other.port())
            });
            places.collect::<Vec<_>>().join(",")
        }
    }
}

/// Does its work at each SIGHUP, until it is dropped. From the first one on SIGHUP ends no relay.
pub(crate) struct OnHangup(JoinHandle<()>);

impl OnHangup {
    fn new(work: impl Fn() + Send + 'static) -> io::Result<Self> {
        let mut hangup = signal(SignalKind::hangup())?;
        Ok(Self(tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                work();
            }
        })))
    }
}

impl Drop for OnHangup {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advertised_host_gets_the_port_of_each_listener() {
        let (first, other) = (([127, 0, 0, 1], 7433).into(), ([127, 0, 0, 1], 443).into());
        assert_eq!(advertised(None, first, None), "127.0.0.1:7433");
        assert_eq!(advertised(None, first, Some(other)), "127.0.0.1:443");
        let name = Some("relay.example:7433");
        assert_eq!(advertised(name, first, None), "relay.example:7433");
        assert_eq!(advertised(name, first, Some(other)), "relay.example:443");
        let v6 = Some("[2001:db8::1]:7433");
        assert_eq!(advertised(v6, first, Some(other)), "[2001:db8::1]:443");
        let places = Some("a.example:7433,b.example:7433");
        assert_eq!(
            advertised(places, first, Some(other)),
            "a.example:443,b.example:443"
        );
    }

    /// A relay of a cluster opens its doors at each change of its role.
    #[tokio::test]
    async fn doors_that_are_opened_again_leave_no_task_behind() {
        let alive = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let before = alive();
        let mut doors = None;
        for _ in 0..10 {
            doors = Some(OnHangup::new(|| {}).unwrap());
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(alive(), before + 1);
        drop(doors);
    }
}
