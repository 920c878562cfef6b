//! Who does the work: this process, which then owns the vault, or the one that owns it already.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use hushwire::{
    Client, Unlock, VaultError,
    vault::{Vault, make_key_file},
};
use tokio::sync::mpsc;

use super::{
    execute,
    exit::{Code, Failure},
    operation::Operation,
    reply::Reply,
    secret::Secrets,
    socket::{self, Server},
};

/// Tries to become the owner, or to find it, while another process comes or goes.
const TRIES: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(50);

/// A way to have operations done.
pub(super) struct Session<'a> {
    folder: &'a Path,
    secrets: &'a Secrets,
    /// Whose certificates hold from now on, where that was said.
    authorities: Option<Authorities>,
    owner: tokio::sync::Mutex<Option<Owner>>,
}

/// Whose TLS certificates hold.
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing says so"))]
pub(super) enum Authorities {
    /// The web's.
    Web,
    /// These, PEM.
    Only(Vec<u8>),
}

struct Owner {
    client: Client,
    server: Option<Server>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        folder: &'a Path,
        secrets: &'a Secrets,
        authorities: Option<Authorities>,
    ) -> Self {
        Self {
            folder,
            secrets,
            authorities,
            owner: tokio::sync::Mutex::new(None),
        }
    }

    pub(super) const fn folder(&self) -> &Path {
        self.folder
    }

    /// What a new vault will open with; asked for only where there is none yet.
    pub(super) fn fresh(&self) -> Result<Unlock, Failure> {
        if Vault::exists(self.folder) {
            return Err(VaultError::Exists(self.folder.into()).into());
        }
        self.secrets.fresh()
    }

    /// The old secret and the new one. Paths are whole: another process may read them.
    pub(super) fn change_secret(
        &self,
        key_file: Option<PathBuf>,
        to_passphrase: bool,
    ) -> Result<(Unlock, Unlock), Failure> {
        let whole = |unlock| {
            Ok::<_, Failure>(match unlock {
                Unlock::KeyFile(path) => Unlock::KeyFile(std::path::absolute(path)?),
                Unlock::Passphrase(text) => Unlock::Passphrase(text),
            })
        };
        let old = whole(self.secrets.existing()?)?;
        let new = match (key_file, &old) {
            (Some(path), _) => {
                make_key_file(&path)?;
                whole(Unlock::KeyFile(path))?
            }
            (None, Unlock::KeyFile(_)) if !to_passphrase => {
                let sentence = "this vault has a key file; give --new-key-file or --to-passphrase";
                return Err(Failure::new(Code::Usage, sentence));
            }
            (None, _) => super::secret::new_passphrase()?,
        };
        Ok((old, new))
    }

    /// Takes over a client that was just made.
    pub(super) async fn take(&self, client: Client) -> Result<(), Failure> {
        self.trust(&client).await?;
        let server = serve(&client);
        *self.owner.lock().await = Some(Owner { client, server });
        Ok(())
    }

    async fn trust(&self, client: &Client) -> Result<(), Failure> {
        #[cfg(feature = "tls")]
        match &self.authorities {
            Some(Authorities::Only(pem)) => client.trust(Some(pem.clone())).await?,
            Some(Authorities::Web) => client.trust(None).await?,
            None => {}
        }
        #[cfg(not(feature = "tls"))]
        let _ = (&self.authorities, client);
        Ok(())
    }

    /// Has an operation done. One without an end goes on in this process when the owner ends.
    pub(super) async fn perform(
        &self,
        operation: Operation,
        replies: mpsc::Sender<Reply>,
    ) -> Result<(), Failure> {
        for _ in 0..TRIES {
            if let Some(client) = self.own_client().await {
                return execute::run(&client, operation, &replies).await;
            }
            if let Some(stream) = socket::connect(self.folder).await {
                match socket::hand_over(stream, &operation, &replies).await {
                    Some(ended) => return ended,
                    None if operation.is_endless() => continue,
                    None => {
                        let sentence = "the other hushwire on this vault ended before it answered; \
                                        see hushwire inbox for what was done";
                        return Err(Failure::new(Code::InUse, sentence));
                    }
                }
            }
            match self.own().await {
                Ok(()) => {}
                Err(Failure {
                    code: Code::InUse, ..
                }) => tokio::time::sleep(BETWEEN).await,
                Err(failure) => return Err(failure),
            }
        }
        Err(VaultError::InUse(self.folder.into()).into())
    }

    async fn own_client(&self) -> Option<Client> {
        self.owner
            .lock()
            .await
            .as_ref()
            .map(|owner| owner.client.clone())
    }

    /// Opens the vault in this process.
    async fn own(&self) -> Result<(), Failure> {
        let mut owner = self.owner.lock().await;
        if owner.is_some() {
            return Ok(());
        }
        if !Vault::exists(self.folder) {
            return Err(VaultError::Missing(self.folder.into()).into());
        }
        let unlock: Unlock = self.secrets.existing()?;
        let client = Client::open(self.folder, unlock).await?;
        self.trust(&client).await?;
        let server = serve(&client);
        *owner = Some(Owner { client, server });
        Ok(())
    }

    /// Lets others finish and gives the vault free.
    pub(super) async fn close(&self) -> Result<(), Failure> {
        let Some(Owner { client, server }) = self.owner.lock().await.take() else {
            return Ok(());
        };
        if let Some(server) = server {
            server.stop().await;
        }
        Ok(client.close().await?)
    }
}

/// Without a socket everything works, but for a second process.
fn serve(client: &Client) -> Option<Server> {
    match Server::start(client) {
        Ok(server) => Some(server),
        Err(failure) => {
            tracing::warn!("no other hushwire can use this vault meanwhile: {failure}");
            None
        }
    }
}
