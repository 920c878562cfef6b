//! A real relay on loopback, and people with real vaults.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use hushwire::{
    Client, Error, Listener, Message, Notification, RelayUrl, Sent, State, Unlock, Who,
};
use hushwire_relay::{
    Service,
    entrance::Entrance,
    key::RelayKey,
    limits::Limits,
    metrics::Metrics,
    operator::{self, Door},
    store::Embedded,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};

/// For a machine under load; nothing asserts how fast something is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A relay in this process; it can be stopped and started again on the same store and port.
pub(crate) struct Relay {
    folder: TempDir,
    address: SocketAddr,
    limits: Limits,
    pub(crate) url: RelayUrl,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Relay {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = RelayKey::load_or_create(&folder.path().join("key")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("hush://{address}/#{}", key.public())
            .parse()
            .unwrap();
        let mut relay = Self {
            folder,
            address,
            limits,
            url,
            running: None,
        };
        relay.serve(listener);
        relay
    }

    fn serve(&mut self, listener: TcpListener) {
        let (stop, stopped) = oneshot::channel::<()>();
        let key = RelayKey::load_or_create(&self.folder.path().join("key")).unwrap();
        let store = Arc::new(Embedded::open(self.folder.path(), 1 << 20).unwrap());
        let metrics = Arc::new(Metrics::new().unwrap());
        let service = Service {
            store,
            key,
            limits: self.limits.clone(),
            metrics,
        };
        let door = Door {
            listener: operator::listen(self.folder.path()).unwrap(),
            back_up: Arc::new(|_| Err("not here".into())),
        };
        let entrances = vec![Entrance::plain(listener)];
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            hushwire_relay::run(entrances, Some(door), service, shutdown)
                .await
                .unwrap();
        });
        self.running = Some((stop, task));
    }

    /// What the relay's operator is told, as JSON.
    pub(crate) async fn operate(&self, words: &str) -> String {
        let mut socket = UnixStream::connect(operator::path(self.folder.path()))
            .await
            .unwrap();
        let line = format!("{words}\n");
        socket.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap_or("null").to_owned()
    }

    pub(crate) async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            let _ = stop.send(());
            task.await.unwrap();
        }
    }

    /// The relay comes back with a new key; the one that it had stays good meanwhile.
    pub(crate) async fn rotate_key(&mut self) {
        self.stop().await;
        let overlap = Duration::from_secs(3600);
        let now = hushwire_relay::rotation::unix_now_s();
        RelayKey::rotate(&self.folder.path().join("key"), overlap, now).unwrap();
        self.resume().await;
    }

    /// The relay comes back and answers to its present key only.
    pub(crate) async fn retire_keys(&mut self) {
        self.stop().await;
        RelayKey::retire(&self.folder.path().join("key")).unwrap();
        self.resume().await;
    }

    /// `host:port`.
    pub(crate) fn place(&self) -> String {
        self.address.to_string()
    }

    pub(crate) async fn resume(&mut self) {
        self.resume_at(self.address).await;
    }

    /// The same relay in another place.
    pub(crate) async fn resume_at(&mut self, address: SocketAddr) {
        assert!(self.running.is_none());
        self.serve(TcpListener::bind(address).await.unwrap());
    }
}

/// Somebody with a vault.
pub(crate) struct Person {
    pub(crate) folder: TempDir,
    pub(crate) client: Client,
    pub(crate) words: String,
}

impl Person {
    pub(crate) async fn at(relay: &Relay) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path().join("vault");
        let (client, words) = Client::create(vault, key_file(&folder), relay.url.clone())
            .await
            .unwrap();
        client.connect();
        client.registered(PATIENCE).await.unwrap();
        Self {
            folder,
            client,
            words: words.to_string(),
        }
    }

    /// The same identity on another machine.
    pub(crate) async fn restored(words: &str, relay: &Relay) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path().join("vault");
        let client = Client::restore(vault, key_file(&folder), relay.url.clone(), words);
        let client = client.await.unwrap();
        client.connect();
        client.registered(PATIENCE).await.unwrap();
        Self {
            folder,
            client,
            words: words.to_owned(),
        }
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    pub(crate) async fn restart(&mut self) {
        self.client.close().await.unwrap();
        self.client = Client::open(self.vault(), key_file(&self.folder))
            .await
            .unwrap();
        self.client.connect();
    }

    pub(crate) async fn learn(&self, name: &str, other: &Self) {
        let card = other.client.card().await.unwrap();
        self.client
            .add_contact(name, Who::Card(card))
            .await
            .unwrap();
    }

    pub(crate) async fn send(&self, to: &str, text: &str) -> Sent {
        self.client.send(to, text.as_bytes()).await.unwrap()
    }

    /// Sends, and waits for the receipt.
    pub(crate) async fn tell(&self, to: &str, text: &str) {
        let sent = self.send(to, text).await;
        self.delivered(sent).await;
    }

    pub(crate) async fn delivered(&self, mut sent: Sent) {
        const MOMENT: Duration = Duration::from_millis(100);
        for _ in 0..600 {
            match self.client.wait(sent, State::Delivered, MOMENT).await {
                Ok(now) => sent = now,
                Err(Error::NoBundle(_)) => {}
                Err(error) => panic!("{error}"),
            }
            if sent.state == State::Delivered {
                return;
            }
            if sent.reason.is_some() {
                // A wait also ends when a relay puts the message off.
                tokio::time::sleep(MOMENT).await;
            }
        }
        let (alarms, links) = (self.client.alarms(10).await, self.client.relays().await);
        panic!("no receipt: {sent:?}, {alarms:?}, {links:?}");
    }

    /// Waits until a text has come in.
    pub(crate) async fn hears(&self, text: &str) {
        let mut listener = self.client.listen(0);
        while next_text(&mut listener).await != text {}
    }

    pub(crate) async fn history(&self) -> Vec<Message> {
        let filter = hushwire::Filter {
            limit: 10_000,
            ..Default::default()
        };
        self.client.history(filter).await.unwrap()
    }

    /// The texts that came in, in the order in which they came.
    pub(crate) async fn received(&self) -> Vec<String> {
        let all = self.history().await.into_iter();
        let incoming = all.filter(|message| message.state == State::Received);
        incoming
            .map(|message| String::from_utf8(message.body).unwrap())
            .collect()
    }
}

pub(crate) fn key_file(folder: &TempDir) -> Unlock {
    let path = folder.path().join("vault.key");
    hushwire::vault::make_key_file(&path).unwrap();
    Unlock::KeyFile(path)
}

/// Two people who have each other's cards.
pub(crate) async fn friends(relay: &Relay) -> (Person, Person) {
    let (alice, bob) = (Person::at(relay).await, Person::at(relay).await);
    alice.learn("bob", &bob).await;
    bob.learn("alice", &alice).await;
    (alice, bob)
}

/// The next message of a listener.
pub(crate) async fn next_text(listener: &mut Listener) -> String {
    loop {
        let next = tokio::time::timeout(PATIENCE, listener.next()).await;
        let notification = next.expect("a message comes").expect("the client runs");
        if let Notification::Message(message) = notification {
            return String::from_utf8(message.body).unwrap();
        }
    }
}
