//! `--store nats://HOST:PORT,HOST:PORT,HOST:PORT/NAME`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

/// Where the cluster is, and which store on it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterUrl {
    /// One URL for each server.
    pub servers: Vec<String>,
    /// What the servers ask for, if they do.
    pub login: Option<Login>,
    /// The store's name: several relays' stores can be on one cluster.
    pub name: String,
    /// How many servers hold each stream: 1, 3 or 5.
    pub replicas: usize,
    /// Bytes of journal after which a new snapshot is written; without them 64 MiB, or half of the newest
    /// snapshot where that is more.
    pub snapshot_bytes: Option<u64>,
    /// How long a commit waits for the cluster before senders are told to try again.
    pub patience: Duration,
    /// The servers are known to sync what they acknowledge: this relay need not, batch by batch.
    pub servers_sync: bool,
}

/// Who the relay is to the servers.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// User name and password: `nats://USER:PASSWORD@HOST`.
    User(String, String),
    /// One word: `nats://TOKEN@HOST`.
    Token(String),
}

/// Why a URL names no store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; a store on a cluster is nats://HOST:PORT,HOST:PORT,HOST:PORT/NAME, with \
     ?replicas=1|3|5, &snapshot-bytes=N and &patience-s=N where the defaults (3, 64 MiB or half of \
     the newest snapshot, 20) do not fit, and &servers-sync=always where every server has sync_interval: always"
)]
pub struct UrlError(&'static str);

const MAX_NAME: usize = 32;
/// A stream of three has a new leader within about ten seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Commits may wait for so many seconds.
const PATIENT: std::ops::RangeInclusive<u64> = 1..=600;
/// A server in a minority takes itself for the leader for about ten seconds.
const LEAST_SILENCE: Duration = Duration::from_secs(15);
/// Twice as long, so that others have the store before the one that is cut off gives it up.
const LEAST_GIVE_UP: Duration = Duration::from_secs(30);

impl ClusterUrl {
    /// How long the relay that has the store may not answer the others.
    pub fn silence(&self) -> Duration {
        self.patience.max(LEAST_SILENCE)
    }

    /// After so long without an answer of the cluster the relay that has the store gives it up.
    pub fn give_up(&self) -> Duration {
        (self.patience * 3).max(LEAST_GIVE_UP)
    }
}

impl Login {
    /// What stands before the `@`; `%40` is an `@` in it, `%2F` a `/`.
    fn parse(text: &str) -> Result<Self, UrlError> {
        let decoded = |part| {
            let text = percent_decode_str(part).decode_utf8();
            let text = text.map_err(|_| UrlError("a password is no text"));
            text.map(|text| text.into_owned())
        };
        Ok(match text.split_once(':') {
            Some((user, password)) => Self::User(decoded(user)?, decoded(password)?),
            None => Self::Token(decoded(text)?),
        })
    }
}

impl FromStr for ClusterUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError("no nats://"))?;
        if !matches!(scheme, "nats" | "tls") {
            return Err(UrlError("only nats:// and tls:// are known"));
        }
        let (hosts, rest) = rest.split_once('/').ok_or(UrlError("no name"))?;
        let (name, options) = rest.split_once('?').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
            return Err(UrlError("a name is 1 to 32 of a-z, 0-9 and -"));
        }
        let mut url = Self {
            servers: Vec::new(),
            login: None,
            name: name.to_owned(),
            replicas: 3,
            snapshot_bytes: None,
            patience: PATIENCE,
            servers_sync: false,
        };
        for host in hosts.split(',') {
            let host = match host.rsplit_once('@') {
                None => host,
                Some((login, host)) => {
                    let login = Login::parse(login)?;
                    if url
                        .login
                        .replace(login.clone())
                        .is_some_and(|other| other != login)
                    {
                        return Err(UrlError("all servers take the same user or token"));
                    }
                    host
                }
            };
            if host.is_empty() {
                return Err(UrlError("a host is empty"));
            }
            url.servers.push(format!("{scheme}://{host}"));
        }
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("replicas", "1")) => url.replicas = 1,
                Some(("replicas", "3")) => url.replicas = 3,
                Some(("replicas", "5")) => url.replicas = 5,
                Some(("snapshot-bytes", value)) => {
                    let bytes = value.parse();
                    url.snapshot_bytes = Some(bytes.map_err(|_| UrlError("no number of bytes"))?);
                }
                Some(("patience-s", value)) => {
                    let seconds = value.parse().ok();
                    let seconds = seconds.filter(|seconds| PATIENT.contains(seconds));
                    let seconds = seconds.ok_or(UrlError("patience-s is 1 to 600"))?;
                    url.patience = Duration::from_secs(seconds);
                }
                Some(("servers-sync", "always")) => url.servers_sync = true,
                Some(("servers-sync", _)) => {
                    return Err(UrlError("servers-sync can be `always`, or left out"));
                }
                _ => return Err(UrlError("an unknown option")),
            }
        }
        Ok(url)
    }
}

/// Without the servers' passwords.
impl fmt::Debug for ClusterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            servers,
            login,
            name,
            replicas,
            snapshot_bytes,
            patience,
            servers_sync,
        } = self;
        f.debug_struct("ClusterUrl")
            .field("servers", &servers.len())
            .field("has_login", &login.is_some())
            .field("name", name)
            .field("replicas", replicas)
            .field("snapshot_bytes", snapshot_bytes)
            .field("patience", patience)
            .field("servers_sync", servers_sync)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_servers_and_a_store() {
        let url: ClusterUrl = "nats://a:4222,b:4222/mail?snapshot-bytes=9&replicas=5"
            .parse()
            .unwrap();
        assert_eq!(url.servers, ["nats://a:4222", "nats://b:4222"]);
        assert_eq!(
            (&*url.name, url.replicas, url.snapshot_bytes),
            ("mail", 5, Some(9))
        );
        assert!(!url.servers_sync);
        let synced: ClusterUrl = "nats://a/mail?servers-sync=always".parse().unwrap();
        assert!(synced.servers_sync && synced.snapshot_bytes.is_none());
        assert!(url.login.is_none());
        let user: ClusterUrl = "tls://u:sec%40ret:@a:1,b,u:sec%40ret:@c/mail"
            .parse()
            .unwrap();
        assert_eq!(user.servers, ["tls://a:1", "tls://b", "tls://c"]);
        let login = Login::User("u".to_owned(), "sec@ret:".to_owned());
        assert!(user.login == Some(login));
        assert!(!format!("{user:?}").contains("sec"));
        let token: ClusterUrl = "nats://word@a/mail".parse().unwrap();
        assert!(token.login == Some(Login::Token("word".to_owned())));
    }

    #[test]
    fn what_is_no_store_is_refused() {
        for wrong in [
            "mail",
            "http://a/mail",
            "nats://a",
            "nats://a/",
            "nats://a/Mail.x",
            "nats://a,,b/mail",
            "nats://u:p@/mail",
            "nats://u:p@a,u:other@b/mail",
            "nats://u:%ff@a/mail",
            "nats://a/mail?replicas=2",
            "nats://a/mail?x=1",
            "nats://a/mail?servers-sync=never",
        ] {
            assert!(wrong.parse::<ClusterUrl>().is_err(), "{wrong}");
        }
    }
}
