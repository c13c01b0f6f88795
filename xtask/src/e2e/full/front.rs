//! One address for everything that pods need of this machine: the api-server, and the repository of the configuration.
//!
//! Only one address has to be within reach of the pods then, and it stays when the api-server goes away and comes back at
//! another port. The first byte tells the two apart: a request for a repository begins with its length in digits, and no
//! method of HTTP does.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context as _;

use super::repository;

/// A client that sends nothing holds a thread for no longer than this.
const FIRST_BYTE_WITHIN: Duration = Duration::from_secs(30);

/// The open address; its thread ends with this process.
#[derive(Debug)]
pub(super) struct Front {
    address: SocketAddr,
    behind: Arc<Mutex<Option<SocketAddr>>>,
}

impl Front {
    /// Opens the address.
    pub(super) fn open(listen: SocketAddr, repository: PathBuf) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen).with_context(|| format!("could not listen on {listen}"))?;
        let address = listener.local_addr().context("the listener has no address")?;
        let behind = Arc::new(Mutex::new(None));
        let target = Arc::clone(&behind);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, repository) = (*locked(&target), repository.clone());
                // A connection that fails is its client's business; it will come again.
                thread::spawn(move || drop(serve(client, target, &repository)));
            }
        });
        Ok(Self { address, behind })
    }

    /// Returns the address that was opened.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says where the api-server is from now on; `None` while it is away.
    pub(super) fn lead_to(&self, server: Option<SocketAddr>) {
        *locked(&self.behind) = server;
    }
}

fn locked(behind: &Mutex<Option<SocketAddr>>) -> MutexGuard<'_, Option<SocketAddr>> {
    behind.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(client: TcpStream, server: Option<SocketAddr>, repository: &Path) -> anyhow::Result<()> {
    client.set_read_timeout(Some(FIRST_BYTE_WITHIN))?;
    let mut first = [0];
    client.peek(&mut first)?;
    client.set_read_timeout(None)?;
    if first[0].is_ascii_digit() {
        return repository::serve(client, repository);
    }
    let server = TcpStream::connect(server.context("the api-server is away")?)?;
    join(client, server)?;
    Ok(())
}

/// Carries bytes both ways until both sides are done, or one is gone.
fn join(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || carry(from, to));
    carry(server, client);
    let _ = up.join();
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    if io::copy(&mut from, &mut to).is_ok() {
        // The other side hears that nothing follows, and may still answer.
        let _ = to.shutdown(Shutdown::Write);
    } else {
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::{cmd::Cmd, e2e::full::repository::Repository, environment::Environment};

    fn anywhere() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[test]
    fn a_shallow_clone_through_the_front_holds_the_configuration() {
        let environment = Environment::of_a_test();
        let root = environment.root.parent().unwrap().to_path_buf();
        let environment = Environment { root, ..environment };
        let repository = Repository::make(&environment).unwrap();
        let front = Front::open(anywhere(), repository.path()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clone = folder.path().join("clone");
        let source = format!("git://{}{}", front.address(), repository::PATH);
        let arguments = ["clone", "--quiet", "--depth=1", "--branch=main", &source, clone.to_str().unwrap()];
        let answer = Cmd::new("git", arguments).ask(&environment).unwrap();
        assert!(answer.status.success(), "{}", answer.errors);
        assert!(clone.join("main.tf").is_file() && clone.join("service/main.tf").is_file());
    }

    #[test]
    fn everything_else_goes_to_wherever_the_server_is_now() {
        let front = Front::open(anywhere(), PathBuf::from("/nowhere")).unwrap();
        let ask = || {
            let mut client = TcpStream::connect(front.address()).unwrap();
            client.write_all(b"GET").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).map(|_| answer)
        };
        assert!(!matches!(ask(), Ok(answer) if !answer.is_empty()), "there is no server yet");
        for name in ["one", "two"] {
            let server = TcpListener::bind(anywhere()).unwrap();
            front.lead_to(Some(server.local_addr().unwrap()));
            let answering = thread::spawn(move || {
                let (mut client, _) = server.accept().unwrap();
                let mut request = String::new();
                client.read_to_string(&mut request).unwrap();
                client.write_all(format!("{request} {name}").as_bytes()).unwrap();
            });
            assert_eq!(ask().unwrap(), format!("GET {name}"));
            answering.join().unwrap();
        }
    }
}
