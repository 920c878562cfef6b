//! The relay in a container, run as the comment of its file says, and its volume.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use hushwire_lab::{PATIENCE, Running};

use super::IMAGE;
use super::podman::{LIMITS, Podman};

/// The user of the image, and its number.
const USER: (&str, &str) = ("hushwire", "7433");

/// A volume that is there for as long as this is.
pub(super) struct Volume<'a> {
    podman: &'a Podman,
    name: String,
}

impl<'a> Volume<'a> {
    /// An empty one.
    pub(super) fn create(podman: &'a Podman) -> Result<Self> {
        let name = podman.ask(&["volume", "create"])?;
        Ok(Self { podman, name })
    }
}

impl Drop for Volume<'_> {
    fn drop(&mut self) {
        // One that cannot be removed is in our own storage and holds a test's mail.
        let _ = self.podman.ask(&["volume", "rm", &self.name]);
    }
}

/// Where the relay and its metrics are published, on loopback.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    relay: u16,
    metrics: u16,
}

impl Ports {
    /// Two that nobody has.
    pub(super) fn free() -> Result<Self> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (relay, metrics) = (bind()?, bind()?);
        Ok(Self {
            relay: relay.local_addr()?.port(),
            metrics: metrics.local_addr()?.port(),
        })
    }
}

/// A running container. Dropped, it is removed.
pub(super) struct Relay<'a> {
    podman: &'a Podman,
    name: String,
    url: String,
    ports: Ports,
    running: Running,
}

impl<'a> Relay<'a> {
    /// Starts one and waits for its URL.
    pub(super) fn start(podman: &'a Podman, volume: &Volume, ports: Ports) -> Result<Self> {
        let name = format!("hushwire-relay-{}", std::process::id());
        let advertised = format!("127.0.0.1:{}", ports.relay);
        let mut command = podman.command(&["run", "--rm", "--name", &name]);
        command
            .args(LIMITS)
            .arg(format!("--publish={advertised}:7433"))
            .arg(format!("--publish=127.0.0.1:{}:9433", ports.metrics))
            .arg(format!("--volume={}:/data", volume.name))
            .args(["--read-only", "--cap-drop=all"])
            .arg(format!("--env=HUSHWIRE_RELAY_ADVERTISE={advertised}"))
            .arg(IMAGE);
        let mut relay = Self {
            podman,
            name,
            url: String::new(),
            ports,
            running: Running::start(&mut command)?,
        };
        let expected = format!("hush://{advertised}/#");
        relay.url = relay.running.line(|line| line.starts_with(&expected))?;
        Ok(relay)
    }

    /// What it printed.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until `/readyz` says so.
    pub(super) fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = get(self.ports.metrics, "/readyz");
            if matches!(&answer, Ok(answer) if answer.starts_with("HTTP/1.1 200 ")) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("/readyz does not say that the relay is ready: {answer:?}");
            }
            std::thread::sleep(PATIENCE / 300);
        }
    }

    /// Who it is, what it may, what its files allow others, and that its health check is content.
    pub(super) fn inspect(&self) -> Result<((), String)> {
        let status = self.exec(&["cat", "/proc/1/status"])?;
        ensure!(field(&status, "Name") == Some("hushwire-relay"), "{status}");
        ensure!(field(&status, "Uid") == Some(USER.1), "{status}");
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            let set = field(&status, set).context("no capabilities are told")?;
            ensure!(set.bytes().all(|digit| digit == b'0'), "{status}");
        }
        let files = self.exec(&["stat", "--format=%n %a %U", "/data", "/data/relay.key"])?;
        let expected = format!(
            "/data 700 {user}\n/data/relay.key 600 {user}",
            user = USER.0
        );
        ensure!(files == expected, "{files}");
        let written = self.exec(&["touch", "/usr/local/bin/written"]);
        let refused = written.err().map(|error| format!("{error:#}"));
        let refused = refused.context("its root can be written to")?;
        ensure!(refused.contains("Read-only file system"), "{refused}");
        self.podman.ask(&["healthcheck", "run", &self.name])?;
        Ok(((), format!("{} alone, no capability", USER.0)))
    }

    /// `podman stop`, which is SIGTERM; SIGKILL would follow after ten seconds and show in the code.
    pub(super) fn stop(mut self) -> Result<((), String)> {
        self.podman.ask(&["stop", &self.name])?;
        let code = self.running.exit_code()?;
        ensure!(code == Some(0), "the relay ended with {code:?}");
        Ok(((), "exit code 0".to_owned()))
    }

    /// What a program in the container prints.
    fn exec(&self, words: &[&str]) -> Result<String> {
        self.podman.ask(&[&["exec", &self.name], words].concat())
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        // Where it was stopped, podman has removed it already.
        let remove = ["rm", "--force", "--ignore", "--time=0", &self.name];
        let _ = self.podman.ask(&remove);
    }
}

/// One answer by HTTP.
fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: relay\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The first word of a line `NAME: WORD ...`, as in `/proc/1/status`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| *key == name)?;
    value.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_status_are_read() {
        let status = "Name:\thushwire-relay\nUid:\t7433\t7433\nCapEff:\t0000\n";
        assert_eq!(field(status, "Name"), Some("hushwire-relay"));
        assert_eq!(field(status, "Uid"), Some("7433"));
        assert_eq!(field(status, "Gid"), None);
    }
}
