//! Where clients come in, and what they wear: nothing, a WebSocket, TLS, or both.
//!
//! Whatever is worn, the link inside is the same, and so is every bound: a place is taken before a
//! byte is read, and one deadline covers everything up to the end of the link's handshake.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::actor::Input;
#[cfg(any(feature = "websocket", feature = "tls"))]
use crate::allowance::Metered;
use crate::connection::{self, Shared};
use crate::relay::ConnId;

/// One listener and what its clients wear.
pub struct Entrance {
    /// Where they connect.
    pub listener: TcpListener,
    /// What they wear.
    pub coat: Coat,
}

/// What is between TCP and the link.
#[derive(Clone)]
pub enum Coat {
    /// Nothing.
    Plain,
    /// A WebSocket. PROTOCOL 3.8
    #[cfg(feature = "websocket")]
    WebSocket,
    /// TLS, with a WebSocket in it or without: the first byte tells. PROTOCOL 3.8
    #[cfg(feature = "tls")]
    Tls(crate::tls::Tls),
}

impl Entrance {
    /// Nothing between TCP and the link.
    #[must_use]
    pub const fn plain(listener: TcpListener) -> Self {
        Self {
            listener,
            coat: Coat::Plain,
        }
    }
}

/// The next connection at any of the entrances. They take turns at being asked first.
pub(crate) async fn accept<'a>(
    entrances: &'a [Entrance],
    turn: &mut usize,
) -> io::Result<(&'a Coat, TcpStream, SocketAddr)> {
    poll_fn(|cx| {
        for step in 1..=entrances.len() {
            let at = (*turn + step) % entrances.len();
            let Some(entrance) = entrances.get(at) else {
                continue;
            };
            if let Poll::Ready(accepted) = entrance.listener.poll_accept(cx) {
                *turn = at;
                return Poll::Ready(accepted.map(|(stream, from)| (&entrance.coat, stream, from)));
            }
        }
        Poll::Pending
    })
    .await
}

/// Serves a connection in a task of its own, which holds `place` as long as it runs. Each coat has
/// its own future, so that none pays for the room that another one needs.
pub(crate) fn serve<P: Send + 'static>(
    tasks: &mut JoinSet<()>,
    (stream, coat): (TcpStream, &Coat),
    conn: ConnId,
    (shared, inputs): (Arc<Shared>, mpsc::Sender<Input>),
    place: P,
) {
    let deadline = Instant::now() + shared.limits.handshake_timeout;
    match coat {
        Coat::Plain => hold(
            tasks,
            place,
            connection::serve(stream, deadline, conn, shared, inputs),
        ),
        #[cfg(feature = "websocket")]
        Coat::WebSocket => hold(
            tasks,
            place,
            coated::web_socket(Metered::new(stream), deadline, conn, shared, inputs),
        ),
        #[cfg(feature = "tls")]
        Coat::Tls(tls) => {
            let (stream, allowance) = Metered::new(stream);
            let accepting = (tls.accept(stream), allowance);
            hold(
                tasks,
                place,
                coated::tls(accepting, deadline, conn, shared, inputs),
            );
        }
    }
}

fn hold<P: Send + 'static>(
    tasks: &mut JoinSet<()>,
    place: P,
    serving: impl Future<Output = ()> + Send + 'static,
) {
    tasks.spawn(Held {
        serving,
        _place: place,
    });
}

pin_project_lite::pin_project! {
    /// A connection and its place. An `async` block would keep room for the connection twice: where it
    /// was captured, and where it is awaited.
    struct Held<F, P> {
        #[pin]
        serving: F,
        _place: P,
    }
}

impl<F: Future<Output = ()>, P> Future for Held<F, P> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().serving.poll(cx)
    }
}

/// Takes the coat off and serves what is inside.
#[cfg(any(feature = "websocket", feature = "tls"))]
mod coated {
    use std::fmt::Display;

    use tokio::io::{AsyncBufRead, AsyncWrite};

    use super::*;
    use crate::allowance::Allowance;
    use crate::handshake::Fault;
    use crate::socket::Buffered;

    type Inputs = mpsc::Sender<Input>;

    /// The coat's own handshake, within the deadline.
    async fn in_time<T, E: Display>(
        opening: impl Future<Output = Result<T, E>>,
        deadline: Instant,
        conn: ConnId,
        shared: &Shared,
    ) -> Option<T> {
        match shared.in_time(deadline, opening).await {
            Some(Ok(opened)) => return Some(opened),
            Some(Err(error)) => shared.no_handshake(conn, &error),
            None => shared.no_handshake(conn, &Fault::Slow),
        }
        None
    }

    /// A WebSocket over `stream`.
    #[cfg(feature = "websocket")]
    pub(super) async fn web_socket<S>(
        (stream, allowance): (S, Allowance),
        deadline: Instant,
        conn: ConnId,
        shared: Arc<Shared>,
        inputs: Inputs,
    ) where
        S: tokio::io::AsyncRead + AsyncWrite + Unpin + Send,
    {
        let opening = hushwire_websocket::accept(stream);
        if let Some(bytes) = in_time(opening, deadline, conn, &shared).await {
            let stream = Buffered::new(bytes, allowance);
            connection::serve(stream, deadline, conn, shared, inputs).await;
        }
    }

    /// TLS, and what is in it.
    #[cfg(feature = "tls")]
    pub(super) async fn tls<S>(
        (accepting, allowance): (impl Future<Output = io::Result<S>>, Allowance),
        deadline: Instant,
        conn: ConnId,
        shared: Arc<Shared>,
        inputs: Inputs,
    ) where
        S: AsyncBufRead + AsyncWrite + Unpin + Send,
    {
        use tokio::io::AsyncBufReadExt;

        let opening = async {
            // Large, and handed on from future to future: each would keep room for it.
            let mut stream = Box::new(shared.turns.spread(accepting).await?);
            let is_web = stream.fill_buf().await?.first() == Some(&b'G');
            Ok::<_, io::Error>((stream, is_web))
        };
        let opened = in_time(Box::pin(opening), deadline, conn, &shared).await;
        match opened {
            None => {}
            #[cfg(feature = "websocket")]
            Some((stream, true)) => {
                let stream = (stream, allowance);
                Box::pin(web_socket(stream, deadline, conn, shared, inputs)).await;
            }
            Some((stream, _)) => {
                let stream = Buffered::new(stream, allowance);
                connection::serve(stream, deadline, conn, shared, inputs).await;
            }
        }
    }
}
