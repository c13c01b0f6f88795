//! `kubectl port-forward`: the connection from this machine to the Service of a deployment.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    time::timeout,
};

use crate::{account::SERVER, kubectl::Kubectl, server::discard};

const TIMEOUT: Duration = Duration::from_secs(30);

/// An open connection; it is closed with this value.
#[derive(Debug)]
pub(super) struct PortForward {
    _child: Child,
    pub(super) port: u16,
}

impl PortForward {
    /// Listens on a port of this machine; 0 takes a free one.
    pub(super) async fn open(kubectl: &Kubectl, port: u16) -> anyhow::Result<Self> {
        let (service, ports) = (format!("service/{SERVER}"), format!("{port}:8080"));
        let ports = ports.trim_start_matches('0');
        let mut child = kubectl.start(&["port-forward", "--address", "127.0.0.1", &service, ports])?;
        let output = child.stdout.take().context("the output is piped")?;
        let mut lines = BufReader::new(output).lines();
        let first = timeout(TIMEOUT, lines.next_line()).await.ok().and_then(|line| line.ok().flatten());
        let Some(port) = first.and_then(|line| parse_port(&line)) else {
            bail!("`kubectl port-forward {service} {ports}` did not listen within {TIMEOUT:?}");
        };
        tokio::spawn(discard(lines));
        Ok(Self { _child: child, port })
    }
}

/// Parses `Forwarding from 127.0.0.1:PORT -> 8080`.
fn parse_port(line: &str) -> Option<u16> {
    line.strip_prefix("Forwarding from 127.0.0.1:")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_port_from_the_output_of_kubectl() {
        assert_eq!(parse_port("Forwarding from 127.0.0.1:41233 -> 8080"), Some(41233));
        assert_eq!(parse_port("error: unable to forward port"), None);
    }
}
