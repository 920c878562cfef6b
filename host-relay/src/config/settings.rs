//! Each setting once: its flag, its variable, its name in the file, its help.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Config, ConfigError, Span, TlsListener};
use crate::limits::{Limits, MAX_FRAME, Registration};

/// Makes one optional field of each setting, readable from flags, environment and file.
macro_rules! settings {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ty, $variable:literal, $value:literal;)+) => {
        /// All settings, as far as they were given.
        #[derive(Clone, Debug, Default, clap::Args, serde::Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub struct Settings {
            $(
                $(#[doc = $help])+
                #[arg(long, env = $variable, value_name = $value)]
                pub $name: Option<$kind>,
            )+
        }

        impl Settings {
            /// These settings where given, those of `lower` elsewhere.
            pub fn over(self, lower: Self) -> Self {
                Self { $($name: self.$name.or(lower.$name),)+ }
            }
        }
    };
}

settings! {
    /// Where clients connect. [default: 127.0.0.1:7433]
    listen: SocketAddr, "HUSHWIRE_RELAY_LISTEN", "ADDRESS:PORT";
    /// Where clients connect with a WebSocket, for networks that let only the web through. [default: none]
    listen_ws: SocketAddr, "HUSHWIRE_RELAY_LISTEN_WS", "ADDRESS:PORT";
    /// Where clients connect with TLS, or with a WebSocket in TLS; needs the two files. [default: none]
    listen_tls: SocketAddr, "HUSHWIRE_RELAY_LISTEN_TLS", "ADDRESS:PORT";
    /// The certificate's chain, PEM, the relay's own first; read again at SIGHUP. [default: none]
    tls_cert: PathBuf, "HUSHWIRE_RELAY_TLS_CERT", "FILE";
    /// The certificate's private key, PEM; read again at SIGHUP. [default: none]
    tls_key: PathBuf, "HUSHWIRE_RELAY_TLS_KEY", "FILE";
    /// The folder of the store and the key. [default: hushwire-relay-data]
    data: PathBuf, "HUSHWIRE_RELAY_DATA", "FOLDER";
    /// The cluster that has the store: nats://HOST:PORT,HOST:PORT,HOST:PORT/NAME, where need be with ?replicas=3&snapshot-bytes=N&patience-s=20, and &servers-sync=always where every server syncs before it acknowledges. [default: the data folder alone]
    store: String, "HUSHWIRE_RELAY_STORE", "URL";
    /// Where the other relays of a store on a cluster call this one; never for clients. [default: the host of --listen, any port]
    trunk: String, "HUSHWIRE_RELAY_TRUNK", "HOST:PORT";
    /// The file of the relay's key, mode 0600, made at the first start. [default: the data folder's relay.key]
    key: PathBuf, "HUSHWIRE_RELAY_KEY", "FILE";
    /// Where /metrics, /healthz and /readyz are served. Keep it private. [default: none]
    metrics: SocketAddr, "HUSHWIRE_RELAY_METRICS", "ADDRESS:PORT";
    /// What the URL says in place of the listening address. [default: the listening address]
    advertise: String, "HUSHWIRE_RELAY_ADVERTISE", "HOST:PORT[,HOST:PORT]";
    /// What is logged: error, warn, info, debug or trace, or a filter by module. [default: info]
    log: String, "HUSHWIRE_RELAY_LOG", "FILTER";
    /// Log lines of JSON. [default: false]
    log_json: bool, "HUSHWIRE_RELAY_LOG_JSON", "TRUE|FALSE";
    /// Bytes of the store's file that may be held in memory. [default: 268435456]
    cache_bytes: usize, "HUSHWIRE_RELAY_CACHE_BYTES", "BYTES";

    /// Messages that a mailbox holds; some thousands at most. [default: 128]
    mailbox_messages: u32, "HUSHWIRE_RELAY_MAILBOX_MESSAGES", "N";
    /// Bytes that a mailbox holds. [default: 1048576]
    mailbox_bytes: u64, "HUSHWIRE_RELAY_MAILBOX_BYTES", "BYTES";
    /// One sender holds at most this part of a mailbox: 4 is a quarter. [default: 4]
    sender_share: u32, "HUSHWIRE_RELAY_SENDER_SHARE", "N";
    /// How long a message waits for its recipient. [default: 21d]
    expiry: Span, "HUSHWIRE_RELAY_EXPIRY", "SPAN";
    /// How much of a stop of the relay counts towards expiry. [default: 1d]
    longest_stop: Span, "HUSHWIRE_RELAY_LONGEST_STOP", "SPAN";
    /// Bytes of all stored envelopes together, and 256 more for each. [default: 8589934592]
    store_bytes: u64, "HUSHWIRE_RELAY_STORE_BYTES", "BYTES";
    /// Bytes of the store's file: new messages stop before it outgrows them. [default: 34359738368]
    disk_bytes: u64, "HUSHWIRE_RELAY_DISK_BYTES", "BYTES";
    /// Who may register: open, invite (who shows an invitation) or closed (who is added). [default: open]
    registration: Registration, "HUSHWIRE_RELAY_REGISTRATION", "OPEN|INVITE|CLOSED";
    /// Registered identities. [default: 1000000]
    accounts: u64, "HUSHWIRE_RELAY_ACCOUNTS", "N";
    /// Contacts on one identity's list. [default: 512]
    contacts: u32, "HUSHWIRE_RELAY_CONTACTS", "N";
    /// Nicknames of one identity. [default: 4]
    names: u32, "HUSHWIRE_RELAY_NAMES", "N";
    /// One-time prekeys of one identity. [default: 128]
    prekeys: u32, "HUSHWIRE_RELAY_PREKEYS", "N";
    /// Bytes of a prekey bundle. [default: 4096]
    bundle_bytes: u32, "HUSHWIRE_RELAY_BUNDLE_BYTES", "BYTES";
    /// Different notices that wait for one identity. [default: 256]
    notices: u32, "HUSHWIRE_RELAY_NOTICES", "N";
    /// Acknowledged envelopes that are remembered against repeated submits. [default: 100000]
    remembered_acks: u32, "HUSHWIRE_RELAY_REMEMBERED_ACKS", "N";

    /// Milliseconds that the disk is spared a message which a connected recipient may ack. [default: 50]
    ack_wait_ms: u32, "HUSHWIRE_RELAY_ACK_WAIT_MS", "N";
    /// Unacknowledged deliveries on one connection at most. [default: 64]
    window: u16, "HUSHWIRE_RELAY_WINDOW", "N";
    /// Bytes of unacknowledged deliveries on one connection; one message always goes. [default: 262144]
    window_bytes: u32, "HUSHWIRE_RELAY_WINDOW_BYTES", "BYTES";
    /// The largest link record taken. [default: 32768]
    max_record: u16, "HUSHWIRE_RELAY_MAX_RECORD", "BYTES";
    /// Open connections. [default: 10000]
    connections: u32, "HUSHWIRE_RELAY_CONNECTIONS", "N";
    /// Open connections of one IP address, or one /64 of IPv6; 0 for no bound. [default: 0]
    connections_per_ip: u32, "HUSHWIRE_RELAY_CONNECTIONS_PER_IP", "N";
    /// Connections of one IP address in a second, and at once; 0 for no bound. [default: 0]
    handshakes_per_ip_per_second: u32, "HUSHWIRE_RELAY_HANDSHAKES_PER_IP_PER_SECOND", "N";
    /// From a connection's start to the end of its link handshake. [default: 10s]
    handshake_timeout: Span, "HUSHWIRE_RELAY_HANDSHAKE_TIMEOUT", "SPAN";
    /// A connection that is silent for so long is closed; clients ping. [default: 300s]
    idle_timeout: Span, "HUSHWIRE_RELAY_IDLE_TIMEOUT", "SPAN";
    /// A write that takes so long closes its connection. [default: 20s]
    write_timeout: Span, "HUSHWIRE_RELAY_WRITE_TIMEOUT", "SPAN";
    /// Frames that wait for one connection; a slower reader is disconnected. [default: 2500]
    outbox_frames: u32, "HUSHWIRE_RELAY_OUTBOX_FRAMES", "N";
    /// Bytes that wait for one connection, beside a window; a slower reader is disconnected. [default: 131072]
    outbox_bytes: u32, "HUSHWIRE_RELAY_OUTBOX_BYTES", "BYTES";
    /// From the signal to the end, whatever clients do. [default: 4s]
    stop_timeout: Span, "HUSHWIRE_RELAY_STOP_TIMEOUT", "SPAN";

    /// Submits of one identity in a second, sustained. [default: 500]
    submit_rate: u32, "HUSHWIRE_RELAY_SUBMIT_RATE", "N";
    /// Submits of one identity at once. [default: 2000]
    submit_burst: u32, "HUSHWIRE_RELAY_SUBMIT_BURST", "N";
    /// Other requests of one identity in a second, sustained. [default: 20]
    request_rate: u32, "HUSHWIRE_RELAY_REQUEST_RATE", "N";
    /// Other requests of one identity at once. [default: 200]
    request_burst: u32, "HUSHWIRE_RELAY_REQUEST_BURST", "N";
    /// One-time prekeys of one target for one requester at once. [default: 3]
    prekey_burst: u32, "HUSHWIRE_RELAY_PREKEY_BURST", "N";
    /// After these, one more in each such span. [default: 1h]
    prekey_interval: Span, "HUSHWIRE_RELAY_PREKEY_INTERVAL", "SPAN";
}

impl Settings {
    /// Fills in the defaults and checks what cannot work.
    pub(super) fn resolve(self) -> Result<Config, ConfigError> {
        let limits = self.limits();
        let impossible = |what: &str| Err(ConfigError::Value(what.to_owned()));
        if usize::from(limits.max_record) < MAX_FRAME + 18 {
            return impossible("--max-record must be at least 16978: the largest frame and a tag");
        }
        if limits.sender_share == 0 || limits.window == 0 || limits.connections == 0 {
            return impossible("--sender-share, --window and --connections must be at least 1");
        }
        if let Some(wrong) = limits.impossible() {
            return impossible(&wrong);
        }
        if let Some(advertise) = &self.advertise
            && !advertise.split(',').all(is_place)
        {
            return impossible(
                "--advertise must be HOST:PORT, or several with commas between them",
            );
        }
        if let Some(log) = &self.log
            && let Err(error) = is_filter(log)
        {
            return impossible(&format!(
                "--log is no filter ({error}); try info, or hushwire_relay=debug"
            ));
        }
        if limits.disk_bytes < 64 << 20 {
            return impossible("--disk-bytes must be at least 67108864");
        }
        if limits.prekeys > u32::from(u16::MAX) {
            return impossible("--prekeys must be at most 65535");
        }

        if cfg!(not(feature = "websocket")) && self.listen_ws.is_some() {
            return impossible(
                "--listen-ws needs a relay that was built with `--features websocket`",
            );
        }
        if cfg!(not(feature = "tls")) && self.listen_tls.is_some() {
            return impossible("--listen-tls needs a relay that was built with `--features tls`");
        }
        let tls = match (self.listen_tls, self.tls_cert, self.tls_key) {
            (None, None, None) => None,
            (Some(listen), Some(cert), Some(key)) => Some(TlsListener { listen, cert, key }),
            _ => {
                return impossible(
                    "--listen-tls, --tls-cert and --tls-key go together: give all three",
                );
            }
        };
        #[cfg(feature = "cluster")]
        let store = self.store.map(|url| url.parse()).transpose();
        #[cfg(feature = "cluster")]
        let store = store.map_err(|error: crate::store::nats::UrlError| {
            ConfigError::Value(format!("--store: {error}"))
        })?;
        #[cfg(not(feature = "cluster"))]
        if self.store.is_some() {
            return impossible("--store needs a relay that was built with `--features cluster`");
        }

        let listen = self.listen.unwrap_or_else(|| ([127, 0, 0, 1], 7433).into());
        #[cfg(feature = "cluster")]
        let trunk = match (self.trunk, &store) {
            (None, Some(_)) if listen.ip().is_unspecified() => {
                return impossible(
                    "--store on a cluster with --listen at every address needs --trunk HOST:PORT: an \
                     address of this machine at which the other relays reach it, and clients do not",
                );
            }
            (None, _) => SocketAddr::new(listen.ip(), 0).to_string(),
            (Some(_), None) => {
                return impossible(
                    "--trunk is for the other relays of a store on a cluster: it needs --store",
                );
            }
            (Some(trunk), _) => match trunk.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => trunk,
                _ => return impossible("--trunk must be HOST:PORT, and port 0 for any"),
            },
        };
        #[cfg(not(feature = "cluster"))]
        if self.trunk.is_some() {
            return impossible("--trunk needs a relay that was built with `--features cluster`");
        }

        let data = self.data.unwrap_or_else(|| "hushwire-relay-data".into());
        Ok(Config {
            listen,
            listen_ws: self.listen_ws,
            tls,
            key: self.key.unwrap_or_else(|| data.join("relay.key")),
            data,
            #[cfg(feature = "cluster")]
            store,
            #[cfg(feature = "cluster")]
            trunk,
            metrics: self.metrics,
            advertise: self.advertise,
            log: self.log.unwrap_or_else(|| "info".into()),
            log_json: self.log_json.unwrap_or(false),
            cache: self.cache_bytes.unwrap_or(256 * 1024 * 1024),
            limits,
        })
    }

    fn limits(&self) -> Limits {
        let default = Limits::default();
        let span = |given: Option<Span>, default| given.map_or(default, |span| span.0);
        macro_rules! given {
            ($($name:ident),*; $($span:ident),*) => {
                Limits {
                    $($name: self.$name.unwrap_or(default.$name),)*
                    $($span: span(self.$span, default.$span),)*
                }
            };
        }
        given! {
            mailbox_messages, mailbox_bytes, sender_share, store_bytes, disk_bytes, registration,
            accounts, contacts, names, prekeys, bundle_bytes, notices, remembered_acks,
            ack_wait_ms, window, window_bytes, max_record, connections,
            connections_per_ip, handshakes_per_ip_per_second, outbox_frames, outbox_bytes, submit_rate, submit_burst, request_rate, request_burst, prekey_burst;
            expiry, longest_stop, handshake_timeout, idle_timeout, write_timeout, stop_timeout,
            prekey_interval
        }
    }
}

fn is_place(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
        is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// A level, or a filter by module. A word that is no level would be taken for a module, and nothing logged.
fn is_filter(text: &str) -> Result<(), String> {
    let filter = tracing_subscriber::EnvFilter::try_new(text);
    filter.map_err(|error| error.to_string())?;
    let is_known = |part: &str| {
        let part = part.trim();
        part.contains(['=', ':', '_'])
            || part.parse::<tracing::level_filters::LevelFilter>().is_ok()
    };
    match text.split(',').find(|part| !is_known(part)) {
        Some(part) => Err(format!("{part} is no level")),
        None => Ok(()),
    }
}
