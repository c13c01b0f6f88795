//! A `kubectl port-forward`: the way from this machine to the Service of a deployment, ended for certain.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::{deploy::kubectl::Kubectl, manifests::SERVER};

const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// An open way; it is closed with this value.
#[derive(Debug)]
pub(super) struct Forward {
    child: Child,
    pub(super) port: u16,
}

impl Forward {
    /// Opens a way at this port of this machine; 0 takes a free one.
    pub(super) fn open(kubectl: &Kubectl<'_>, namespace: &str, port: u16) -> anyhow::Result<Self> {
        let (service, ports) = (format!("service/{SERVER}"), format!("{port}:8080"));
        let ports = ports.trim_start_matches('0');
        let mut command = Command::new("kubectl");
        command.args(&kubectl.options).args(["port-forward", "--address", "127.0.0.1"]);
        command.args(["--namespace", namespace, &service, ports]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().context("could not start kubectl")?;
        let output = child.stdout.take().context("a piped output is there")?;
        let mut forward = Self { child, port: 0 };
        let (sender, receiver) = mpsc::channel();
        // Reads on to the end, so that kubectl is never stopped by a full pipe.
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        match receiver.recv_timeout(OPEN_WITHIN).ok().and_then(|line| port_in(&line)) {
            Some(port) => forward.port = port,
            None => bail!("`kubectl port-forward {service} {ports}` opened nothing within {OPEN_WITHIN:?}"),
        }
        Ok(forward)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // It has nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds the port in `Forwarding from 127.0.0.1:PORT -> 8080`.
fn port_in(line: &str) -> Option<u16> {
    line.strip_prefix("Forwarding from 127.0.0.1:")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_what_kubectl_says() {
        assert_eq!(port_in("Forwarding from 127.0.0.1:41233 -> 8080"), Some(41233));
        assert_eq!(port_in("error: unable to forward port"), None);
    }
}
