//! Settings: the command line over the environment over a TOML file over the defaults.

mod settings;
pub(crate) mod template;
mod units;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Parser;

pub use settings::Settings;
pub use units::Span;

use crate::limits::Limits;
use crate::tools::Tool;

/// What `--help` teaches beside the settings.
const AFTER_HELP: &str = "\
Examples:
  hushwire-relay                                    a relay for this machine only, to try it
  hushwire-relay config > relay.toml                then edit it, and: hushwire-relay --config relay.toml
  hushwire-relay --listen 0.0.0.0:7433 --advertise relay.example:7433 \\
      --data /var/lib/hushwire-relay --metrics 127.0.0.1:9433

The first user, on any machine:  hushwire init --relay 'hush://relay.example:7433/#KEY'
What stands in the place of that URL is the line on standard output; under systemd it is in the journal:
  journalctl -u hushwire-relay -o cat | grep -E 'hush(\\+[a-z]+)?://'

Of the running relay (D is --data /var/lib/hushwire-relay; needs its user, or root):
  hushwire-relay status D                           its figures; mailbox list D: who has mail waiting
  hushwire-relay backup D --to FOLDER               a copy of store and key, while it runs
  hushwire-relay invite new D --for 7d              where --registration is invite
  hushwire-relay mailbox ban ADDRESS D              turns an identity away
  hushwire-relay key rotate D --overlap 90d         then restart: clients learn the new key in the old link

Settings: no file is read without --config. The unit in host-relay/contrib reads
/etc/hushwire-relay.toml. The file that `config` prints is every setting with its default.

Where the data lies: in the --data folder. relay.key is the relay's name, which clients pin: back it
up, for without it every client must be given a new URL. store.redb has the messages that wait.

Signals: SIGTERM and SIGINT stop in order: what was taken is accepted or refused, clients are told,
and the relay ends within --stop-timeout. SIGHUP reads the TLS certificate again. SIGKILL loses
nothing that was accepted.

Exit codes: 0 after an orderly stop; 1 where it could not start or go on (disk, port, key file);
2 for wrong settings, which a restart does not mend.

docs/OPERATING.md goes from an empty machine to a monitored relay.";

/// The relay of Hushwire: stores and forwards end-to-end encrypted messages that it cannot read.
///
/// At start it prints one line: its URL, with the key that clients pin. Every setting may also be
/// given in the environment (its name is shown) or in the TOML file, under the flag's name without
/// dashes in front. Flags win over the environment, the environment over the file. It stops
/// cleanly on SIGTERM and SIGINT.
#[derive(Debug, Parser)]
#[command(
    name = "hushwire-relay",
    version,
    max_term_width = 100,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Arguments {
    /// A TOML file with settings.
    #[arg(long, env = "HUSHWIRE_RELAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    tool: Option<Tool>,
}

/// What the program is to do.
#[derive(Clone, Debug)]
pub enum Invocation {
    /// Serve clients.
    Serve(Box<Config>),
    /// Something with a store.
    Tool(Box<Tool>),
}

/// Everything that a relay needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where clients connect with a WebSocket, if anywhere.
    pub listen_ws: Option<SocketAddr>,
    /// Where clients connect with TLS, if anywhere.
    pub tls: Option<TlsListener>,
    /// The folder of the store.
    pub data: PathBuf,
    /// The cluster that has the store, if it is not in the folder alone.
    #[cfg(feature = "cluster")]
    pub store: Option<crate::store::nats::ClusterUrl>,
    /// Where other relays of that store call this one.
    #[cfg(feature = "cluster")]
    pub trunk: String,
    /// The key file.
    pub key: PathBuf,
    /// Where metrics and health are served, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// What the URL says in place of the listening address.
    pub advertise: Option<String>,
    /// What is logged.
    pub log: String,
    /// Whether the log is JSON.
    pub log_json: bool,
    /// Bytes of the store's file that may be held in memory.
    pub cache: usize,
    /// All limits.
    pub limits: Limits,
}

/// A listener with TLS.
#[derive(Clone, Debug)]
pub struct TlsListener {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The certificate's chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line or the environment.
    #[error("{0}")]
    Arguments(#[from] clap::Error),
    /// The file cannot be read.
    #[error("the settings file {0} cannot be read: {1}")]
    Io(PathBuf, std::io::Error),
    /// The file is wrong.
    #[error("the settings file {0} is wrong: {1}")]
    File(PathBuf, Box<toml::de::Error>),
    /// A value that cannot work.
    #[error("{0}")]
    Value(String),
}

impl Config {
    /// Reads the command line, the environment and the file that they name.
    pub fn load(
        arguments: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
    ) -> Result<Self, ConfigError> {
        match Self::invocation(arguments)? {
            Invocation::Serve(config) => Ok(*config),
            Invocation::Tool(_) => Err(ConfigError::Value("this is no relay to run".into())),
        }
    }

    /// The same, where it may be another command than to serve.
    pub fn invocation(
        arguments: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
    ) -> Result<Invocation, ConfigError> {
        let Arguments {
            config,
            settings,
            tool,
        } = Arguments::try_parse_from(arguments)?;
        if let Some(tool) = tool {
            return Ok(Invocation::Tool(Box::new(tool)));
        }
        let from_file = config.as_deref().map(read).transpose()?.unwrap_or_default();
        let config = settings.over(from_file).resolve()?;
        Ok(Invocation::Serve(Box::new(config)))
    }
}

fn read(path: &Path) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| ConfigError::Io(path.into(), error))?;
    toml::from_str(&text).map_err(|error| ConfigError::File(path.into(), Box::new(error)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn load(arguments: &[&str]) -> Result<Config, ConfigError> {
        Config::load(["hushwire-relay"].iter().chain(arguments).copied())
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.toml");
        let text = "listen = '127.0.0.1:1'\nmailbox-messages = 9\nexpiry = '2d'\n";
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();

        let config = load(&["--config", path, "--listen", "127.0.0.1:2"]).unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.limits.mailbox_messages, 9);
        assert_eq!(config.limits.expiry.as_secs(), 2 * 86_400);
        assert_eq!(config.limits.mailbox_bytes, Limits::default().mailbox_bytes);
    }

    #[test]
    fn what_cannot_work_is_told_before_anything_is_served() {
        for wrong in [
            ["--handshake-timeout", "213503982334601d"],
            ["--idle-timeout", "0s"],
            ["--remembered-acks", "4294967295"],
            ["--outbox-frames", "0"],
            ["--outbox-bytes", "9"],
            ["--mailbox-bytes", "4095"],
            ["--sender-share", "1000000"],
            ["--store-bytes", "1"],
            ["--prekeys", "99"],
            ["--ack-wait-ms", "4294967295"],
            ["--accounts", "0"],
            ["--request-rate", "0"],
            ["--log", "verbose"],
            ["--log", "nonsense=["],
            ["--advertise", "relay.example"],
            ["--advertise", ""],
            ["--advertise", "a:1,b"],
        ] {
            let Err(ConfigError::Value(said)) = load(&wrong) else {
                panic!("{wrong:?} is taken");
            };
            assert!(said.contains(wrong[0]), "{said}");
        }
        for right in [
            ["--log", "hushwire_relay=debug,info"],
            ["--log", "off"],
            ["--advertise", "a.example:1,[2001:db8::1]:2"],
            ["--stop-timeout", "0s"],
        ] {
            load(&right).unwrap();
        }
    }

    #[test]
    fn the_defaults_are_the_limits_own() {
        assert_eq!(load(&[]).unwrap().limits, Limits::default());
    }

    #[test]
    fn every_example_of_the_help_is_a_command_that_parses() {
        let text = AFTER_HELP.replace("\\\n", " ");
        let address = hushwire_core::identity::Address([3; 20]).to_string();
        let mut examples = 0;
        for line in text.lines().map(str::trim) {
            if !line.starts_with("hushwire-relay") {
                continue;
            }
            // What it is for stands behind a gap.
            let gap = line
                .find("   ")
                .filter(|at| !line[*at..].trim().starts_with('-'));
            let command = line[..gap.unwrap_or(line.len())].replace(" > relay.toml", "");
            let words = command.split_whitespace().flat_map(|word| match word {
                "D" => vec!["--data", "folder"],
                "ADDRESS" => vec![address.as_str()],
                word => vec![word],
            });
            let words: Vec<_> = words.collect();
            if let Err(error) = Arguments::try_parse_from(&words) {
                panic!("{words:?}: {error}");
            }
            examples += 1;
        }
        assert_eq!(examples, 8);
    }

    #[test]
    fn mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.toml");
        std::fs::write(&path, "mailbox-mesages = 9\n").unwrap();
        let error = load(&["--config", path.to_str().unwrap()])
            .unwrap_err()
            .to_string();
        assert!(error.contains("mailbox-mesages"), "{error}");
        assert!(load(&["--config", "/no/such/file"]).is_err());
        assert!(load(&["--max-record", "100"]).is_err());
        assert!(load(&["--mailbox-messages", "many"]).is_err());
        assert!(load(&["--sender-share", "0"]).is_err());
        let alone = load(&["--listen-tls", "127.0.0.1:0"]).unwrap_err();
        assert!(alone.to_string().contains("--tls-cert"), "{alone}");
    }

    #[test]
    fn every_setting_tells_what_it_does_its_default_and_its_variable() {
        for argument in Arguments::command().get_arguments() {
            let name = argument.get_long().unwrap_or("?");
            if ["help", "version"].contains(&name) {
                continue;
            }
            let variable = format!("HUSHWIRE_RELAY_{}", name.replace('-', "_").to_uppercase());
            assert_eq!(
                argument.get_env().and_then(|env| env.to_str()),
                Some(variable.as_str())
            );
            let help = argument.get_help().unwrap_or_default().to_string();
            assert!(
                name == "config" || help.contains("[default: "),
                "--{name}: {help}"
            );
        }
    }

    /// The help texts state the defaults by hand: they must be the true ones.
    #[test]
    fn the_defaults_in_the_help_are_true() {
        let stated: Vec<_> = Arguments::command()
            .get_arguments()
            .filter_map(|argument| {
                let help = argument.get_help()?.to_string();
                let value = help
                    .split_once("[default: ")?
                    .1
                    .split_once(']')?
                    .0
                    .to_owned();
                let first = value.split([' ', ';']).next()?.to_owned();
                Some((format!("--{}", argument.get_long()?), first))
            })
            .filter(|(_, value)| !["none", "the", "false"].contains(&value.as_str()))
            .collect();
        assert!(stated.len() > 25);
        let arguments: Vec<_> = stated
            .iter()
            .flat_map(|(flag, value)| [flag.as_str(), value])
            .collect();
        let (stated, default) = (load(&arguments).unwrap(), load(&[]).unwrap());
        assert_eq!(stated.limits, default.limits);
        assert_eq!(stated.listen, default.listen);
        assert_eq!(stated.data, default.data);
        assert_eq!(stated.cache, default.cache);
    }
}
