//! The journal: a stream in which one relay at a time appends batches.
//!
//! Each append names the sequence that it must follow (`Nats-Expected-Last-Sequence`). So an append
//! happens once or not at all, however often it is tried, and a relay that was taken over can
//! append nothing more: no clock and no lease decides that, the stream does.

use std::time::{Duration, Instant};

use async_nats::header::NATS_EXPECTED_LAST_SEQUENCE;
use async_nats::jetstream::context::{Context, PublishErrorKind};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, LastRawMessageErrorKind, StorageType, Stream,
};
use async_nats::{Client, HeaderMap};

use super::entry::Head;
use super::local::Mark;
use super::url::{ClusterUrl, Login};
use crate::store::StoreError;

/// One answer of the cluster; asked again until the caller's patience ends.
pub(super) const ANSWER: Duration = Duration::from_secs(3);
/// Between two tries.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of rows in one message. The servers' default bound is 1 MiB.
const PART: usize = 512 * 1024;
/// Entries that are asked for at once.
const AT_ONCE: u64 = 32;

/// The streams of one store.
#[derive(Clone)]
pub(super) struct Journal {
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) name: String,
    pub(super) part: usize,
    stream: Stream,
    subject: String,
}

/// Where a journal begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    /// The oldest sequence.
    pub(super) first: u64,
    /// The newest; 0 in a stream that was never used.
    pub(super) last: u64,
    /// Of all entries.
    pub(super) bytes: u64,
}

impl Ends {
    /// Whether there is no entry: it was never used, or somebody purged it.
    pub(super) fn is_empty(self) -> bool {
        self.last == 0 || self.first > self.last
    }
}

/// What the servers say of the journal.
pub(super) struct Look {
    pub(super) ends: Ends,
    /// Servers that should have the newest entry, and have not or are gone.
    pub(super) behind: u64,
}

/// Why an append did not happen.
#[derive(Debug)]
pub(super) enum AppendError {
    /// Something else follows the sequence that was named, or the sequence is not there.
    Conflict,
    /// No word by the deadline: it may happen yet.
    Unknown(String),
}

pub(super) fn trouble(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io(format!("the NATS cluster: {error}"))
}

impl Journal {
    /// Connects, and makes the streams if they are not there.
    pub(super) async fn open(url: &ClusterUrl, deadline: Instant) -> Result<Self, StoreError> {
        let mut said = String::new();
        loop {
            match Self::try_open(url).await {
                Ok(journal) => return Ok(journal),
                Err(error) if Instant::now() >= deadline => return Err(error),
                // A cluster may take its time. Where it never will, the operator waits for a reason.
                Err(error) if error.to_string() != said => {
                    said = error.to_string();
                    tracing::warn!(%error, "the NATS servers do not take this relay yet; it goes on trying");
                }
                Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_open(url: &ClusterUrl) -> Result<Self, StoreError> {
        let options = async_nats::ConnectOptions::new()
            .name("hushwire-relay")
            .connection_timeout(ANSWER)
            .request_timeout(Some(ANSWER));
        let options = match url.login.clone() {
            None => options,
            Some(Login::User(name, password)) => options.user_and_password(name, password),
            Some(Login::Token(token)) => options.token(token),
        };
        let client = options
            .connect(url.servers.as_slice())
            .await
            .map_err(trouble)?;
        let mut context = async_nats::jetstream::new(client.clone());
        context.set_timeout(ANSWER);
        let subject = format!("hushwire.{}.journal", url.name);
        let config = |name: &str, subject: &str| Config {
            name: format!("hushwire-{}-{name}", url.name),
            subjects: vec![subject.to_owned()],
            num_replicas: url.replicas,
            storage: StorageType::File,
            // A full stream refuses; it never drops what was acknowledged.
            discard: DiscardPolicy::New,
            ..Config::default()
        };
        let stream = context.get_or_create_stream(config("journal", &subject));
        let stream = stream.await.map_err(trouble)?;
        let snapshots = format!("hushwire.{}.snapshot.>", url.name);
        let snapshots = Config {
            max_messages_per_subject: 1,
            discard: DiscardPolicy::Old,
            ..config("snapshots", &snapshots)
        };
        let made = context.get_or_create_stream(snapshots).await;
        made.map_err(trouble)?;
        // Room for our head and NATS's own headers.
        let part = PART.min(client.max_payload().saturating_sub(1024));
        Ok(Self {
            client,
            context,
            name: url.name.clone(),
            part,
            stream,
            subject,
        })
    }

    pub(super) async fn ends(&self) -> Result<Ends, StoreError> {
        Ok(self.look().await?.ends)
    }

    pub(super) async fn look(&self) -> Result<Look, StoreError> {
        let info = self.stream.get_info().await.map_err(trouble)?;
        let replicas = info
            .cluster
            .map_or_else(Vec::new, |cluster| cluster.replicas);
        let behind = replicas.iter().filter(|peer| peer.offline || !peer.current);
        Ok(Look {
            ends: Ends {
                first: info.state.first_sequence,
                last: info.state.last_sequence,
                bytes: info.state.bytes,
            },
            behind: behind.count() as u64,
        })
    }

    /// A message of the journal.
    pub(super) async fn read(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match self.stream.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(message.payload.to_vec())),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(trouble(error)),
        }
    }

    /// The head of one message.
    pub(super) async fn head(&self, sequence: u64) -> Result<Option<Head>, StoreError> {
        let part = self.read(sequence).await?;
        let head = part.map(|part| Ok(Head::parse(&part)?.0));
        head.transpose()
    }

    /// Some messages from `from` on, none behind `last`.
    pub(super) async fn read_some(
        &self,
        from: u64,
        last: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let until = last.min(from + AT_ONCE - 1);
        let reads: Vec<_> = (from..=until)
            .map(|sequence| {
                let journal = self.clone();
                tokio::spawn(async move { journal.read(sequence).await })
            })
            .collect();
        let mut found = Vec::with_capacity(reads.len());
        for (sequence, read) in (from..).zip(reads) {
            let part = read.await.map_err(trouble)??;
            match part {
                Some(part) => found.push((sequence, part)),
                None => return Err(self.why_missing(sequence).await?),
            }
        }
        Ok(found)
    }

    /// Whoever has the store may have cut the journal meanwhile: then a snapshot has what is missed.
    async fn why_missing(&self, sequence: u64) -> Result<StoreError, StoreError> {
        Ok(match self.ends().await?.first > sequence {
            true => trouble("the journal was cut while it was read"),
            false => StoreError::Damaged(format!("message {sequence} of its journal is missing")),
        })
    }

    /// Appends `parts` behind the sequence `after`; returns the sequence of the last. Tries until
    /// `deadline`.
    pub(super) async fn append(
        &self,
        after: u64,
        parts: Vec<Vec<u8>>,
        deadline: Instant,
    ) -> Result<u64, AppendError> {
        let mut after = after;
        for part in parts {
            self.append_part(after, part, deadline).await?;
            after += 1;
        }
        Ok(after)
    }

    async fn append_part(
        &self,
        after: u64,
        part: Vec<u8>,
        deadline: Instant,
    ) -> Result<(), AppendError> {
        loop {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_EXPECTED_LAST_SEQUENCE, after.to_string().as_str());
            let (context, subject) = (&self.context, self.subject.clone());
            let sent = context.publish_with_headers(subject, headers, part.clone().into());
            let acknowledged = async { sent.await?.await };
            let error = match acknowledged.await {
                Ok(ack) if ack.sequence == after + 1 => return Ok(()),
                Ok(ack) => format!("sequence {} was given after {after}", ack.sequence),
                Err(error) => {
                    if error.kind() == PublishErrorKind::WrongLastSequence {
                        // Perhaps an earlier try of this very append.
                        match self.read(after + 1).await {
                            Ok(Some(there)) if there[..] == part[..] => return Ok(()),
                            Ok(Some(_)) => return Err(AppendError::Conflict),
                            Ok(None) if self.is_shorter_than(after).await => {
                                return Err(AppendError::Conflict);
                            }
                            Ok(None) | Err(_) => {}
                        }
                    }
                    error.to_string()
                }
            };
            if Instant::now() >= deadline {
                return Err(AppendError::Unknown(error));
            }
            tracing::debug!(%error, after, "an append is tried again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn is_shorter_than(&self, sequence: u64) -> bool {
        self.ends().await.is_ok_and(|ends| ends.last < sequence)
    }

    /// Whether the entry of `mark` is in it.
    pub(super) async fn has(&self, mark: Mark) -> Result<bool, StoreError> {
        let there = self.head(mark.sequence).await?;
        Ok(there.is_some_and(|head| head.is_at(&mark)))
    }

    /// Forgets what lies before the entry of `mark`, which must be there: the servers would forget all.
    pub(super) async fn forget_before(&self, mark: Mark) -> Result<(), StoreError> {
        let sequence = mark.sequence;
        if !self.has(mark).await? {
            return Err(trouble("the journal went back meanwhile"));
        }
        // To the servers "before the first" is "all".
        if sequence <= 1 {
            return Ok(());
        }
        let purged = self.stream.purge().sequence(sequence).await;
        purged.map(drop).map_err(trouble)
    }
}
