//! Fetches a commit with the real `git`.
//!
//! Only the wanted commit is fetched, without history where the server allows it. Git gets credentials
//! through its environment alone, and only for the host they belong to: they are in no argument, in no file
//! of the repository, and submodules on other hosts do not get them.

mod failure;
pub(super) mod reference;
mod settings;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use self::{
    failure::{GitFailure, Reason},
    reference::{Names, Wanted, is_id},
};
use super::{address::Repository, error::FetchError};
use crate::{
    child::{
        captured::{Captured, run_captured},
        process::Invocation,
        search_path::find_program,
    },
    log::Log,
    stop::Stop,
};

pub(crate) use failure::GitFailure as Failure;
pub(super) use settings::add_of_workspace as add_settings;

/// The longest time for one command of git.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(30);

/// Everything that branches and tags name.
const ALL_REFERENCES: [&str; 2] = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];

/// What to fetch, and where to.
#[derive(Debug)]
pub(crate) struct Checkout<'a> {
    pub(crate) repository: &'a Repository,
    /// Branch, tag, commit or reference; empty for the default branch.
    pub(crate) branch: &'a str,
    /// Commit to check out instead of the tip of the branch.
    pub(crate) commit: Option<&'a str>,
    /// The folder for the files, which does not exist.
    pub(crate) target: &'a Path,
    /// File for the private key.
    pub(crate) key_file: PathBuf,
}

/// Fetches and returns the id of the commit that is checked out; `None` after a stop request.
pub(crate) async fn checkout(
    checkout: &Checkout<'_>,
    inherited: &BTreeMap<String, String>,
    log: &Log,
    stop: &Stop,
) -> Result<Option<String>, FetchError> {
    let wanted = wanted(checkout)?;
    let path = inherited.get("PATH").map(String::as_str).unwrap_or_default();
    let program = find_program("git", path).ok_or(FetchError::MissingGit)?;
    let env =
        settings::environment(inherited, checkout.repository, &checkout.key_file).map_err(FetchError::Key)?;
    let git = Git { checkout, program, env, log, stop };
    match git.fetch_and_check_out(&wanted).await {
        Ok(commit) => Ok(Some(commit)),
        Err(_) if stop.is_requested() => Ok(None),
        Err(error) => Err(error),
    }
}

fn wanted(checkout: &Checkout<'_>) -> Result<Wanted, FetchError> {
    match checkout.commit {
        Some(commit) => Wanted::commit(commit).ok_or_else(|| FetchError::Commit { found: commit.to_owned() }),
        None => Wanted::parse(checkout.branch)
            .ok_or_else(|| FetchError::Reference { found: checkout.branch.to_owned() }),
    }
}

/// The program with its environment.
struct Git<'a> {
    checkout: &'a Checkout<'a>,
    program: PathBuf,
    env: BTreeMap<String, String>,
    log: &'a Log,
    stop: &'a Stop,
}

impl Git<'_> {
    async fn fetch_and_check_out(&self, wanted: &Wanted) -> Result<String, FetchError> {
        let target = self.checkout.target;
        self.create(target).await?;
        let commit = match wanted {
            Wanted::Default => {
                self.fetch_one("HEAD", "the default branch").await?;
                self.fetched().await?
            }
            Wanted::Reference(name) => {
                if !self.try_reference(name).await? {
                    return Err(self.missing(name).await);
                }
                self.fetched().await?
            }
            Wanted::Commit(id) => self.fetch_commit(id).await?,
            Wanted::Name(name) => self.fetch_name(name).await?,
        };
        let done = self.quiet(&["checkout", "--quiet", "--detach", "--force", &commit], target).await?;
        self.check(&done, "check out the commit")?;
        self.fetch_submodules().await?;
        Ok(commit)
    }

    /// Creates an empty repository that knows where it comes from.
    async fn create(&self, folder: &Path) -> Result<(), FetchError> {
        let parent = folder.parent().unwrap_or(folder);
        let mut args: Vec<OsString> = arguments(&["init", "--quiet", "--template="]);
        args.push(folder.into());
        let made = self.run(args, parent, true).await?;
        self.check(&made, "create a working copy")?;
        // Submodules with relative addresses start from here.
        let url = self.checkout.repository.url.as_str();
        let made = self.quiet(&["remote", "add", "--", "origin", url], folder).await?;
        self.check(&made, "create a working copy")
    }

    /// Fetches what a branch or tag names, or a commit whose id begins so.
    async fn fetch_name(&self, name: &str) -> Result<String, FetchError> {
        let is_commit = self.checkout.commit.is_some();
        // A branch comes first, as in `git clone --branch`.
        for folder in ["heads", "tags"] {
            if !is_commit && self.try_reference(&format!("refs/{folder}/{name}")).await? {
                return self.fetched().await;
            }
        }
        if is_id(name) {
            return self.fetch_abbreviated(name).await;
        }
        Err(self.missing(name).await)
    }

    /// Fetches a reference; `false` if there is none of this name.
    async fn try_reference(&self, name: &str) -> Result<bool, FetchError> {
        match self.fetch_one(name, &format!("{name:?}")).await {
            Ok(()) => Ok(true),
            Err(FetchError::Git(failure)) if failure.reason == Reason::NoReference => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Fetches one reference or commit without history, or with it where the server cannot do without.
    async fn fetch_one(&self, name: &str, shown: &str) -> Result<(), FetchError> {
        let action = format!("fetch {shown}");
        let fetched = self.quiet(&fetch(&["--depth=1", "--no-tags"], &[name]), self.checkout.target).await?;
        if fetched.succeeded() {
            return Ok(());
        }
        let failure = self.failure(&action, &fetched);
        if failure.reason != Reason::NoShallow {
            return Err(failure.into());
        }
        let fetched = self.quiet(&fetch(&["--no-tags"], &[name]), self.checkout.target).await?;
        self.check(&fetched, &action)
    }

    /// Fetches a commit by its full id.
    async fn fetch_commit(&self, id: &str) -> Result<String, FetchError> {
        match self.fetch_one(id, &format!("commit {id}")).await {
            Ok(()) => return self.fetched().await,
            // An old server serves only what branches and tags name: the commit may be in their history.
            Err(FetchError::Git(failure))
                if matches!(failure.reason, Reason::IdsRefused | Reason::NoReference) => {}
            Err(error) => return Err(error),
        }
        self.log.note("the server does not serve commits by their id; fetching the whole history");
        let all = self.loud(&fetch(&[], &ALL_REFERENCES), self.checkout.target).await?;
        let action = format!("fetch commit {id}");
        self.check(&all, &action)?;
        let exists =
            self.quiet(&["cat-file", "-e", &format!("{id}^{{commit}}")], self.checkout.target).await?;
        if exists.succeeded() {
            return Ok(id.to_owned());
        }
        let missing = GitFailure { reason: Reason::NoCommit, ..self.failure(&action, &Captured::default()) };
        Err(missing.into())
    }

    /// Finds the commit whose id begins with these digits, then fetches it. Only the commits of branches and
    /// tags are fetched for that, where the server can leave out their files.
    async fn fetch_abbreviated(&self, start: &str) -> Result<String, FetchError> {
        let scratch = self.checkout.target.with_extension("commits");
        self.create(&scratch).await?;
        let action = format!("look for commit {start}");
        let fetched = self.loud(&fetch(&["--filter=tree:0"], &ALL_REFERENCES), &scratch).await?;
        self.check(&fetched, &action)?;
        let found = self.quiet(&["rev-parse", "--verify", &format!("{start}^{{commit}}")], &scratch).await?;
        let (id, errors) = (found.output.trim().to_owned(), found.errors.to_lowercase());
        let removed = fs::remove_dir_all(&scratch);
        removed.map_err(|source| FetchError::Copy { path: scratch, source })?;
        if found.succeeded() {
            return self.fetch_commit(&id).await;
        }
        if errors.contains("is ambiguous") {
            return Err(FetchError::AmbiguousCommit { found: start.to_owned() });
        }
        Err(self.missing(start).await)
    }

    /// Returns the commit that was fetched last.
    async fn fetched(&self) -> Result<String, FetchError> {
        let found =
            self.quiet(&["rev-parse", "--verify", "FETCH_HEAD^{commit}"], self.checkout.target).await?;
        self.check(&found, "find the commit")?;
        Ok(found.output.trim().to_owned())
    }

    /// Returns the error about a name that does not exist, with what does.
    async fn missing(&self, name: &str) -> FetchError {
        let listed = match self.quiet(&["ls-remote", "--quiet", "origin"], self.checkout.target).await {
            Ok(listed) => listed,
            Err(error) => return error,
        };
        if let Err(error) = self.check(&listed, "list the branches and tags") {
            return error;
        }
        let url = self.checkout.repository.url.clone();
        FetchError::MissingReference {
            name: name.to_owned(),
            url,
            exists: Names::parse(&listed.output).describe(name),
        }
    }

    /// Fetches the submodules at the commits that the source names.
    async fn fetch_submodules(&self) -> Result<(), FetchError> {
        let target = self.checkout.target;
        if fs::symlink_metadata(target.join(".gitmodules")).is_err() {
            return Ok(());
        }
        let update = ["submodule", "--quiet", "update", "--init", "--recursive", "--force", "--jobs=4"];
        let shallow = self.quiet(&[&update[..], &["--depth=1"]].concat(), target).await?;
        if shallow.succeeded() {
            return Ok(());
        }
        let failure = self.failure("fetch the submodules", &shallow);
        if !matches!(
            failure.reason,
            Reason::IdsRefused | Reason::NoShallow | Reason::NoReference | Reason::Other
        ) {
            self.log.note(&shallow.errors);
            return Err(failure.into());
        }
        // The commit may be in the history of a branch.
        let _ = self.quiet(&["submodule", "--quiet", "deinit", "--all", "--force"], target).await?;
        match fs::remove_dir_all(target.join(".git/modules")) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(FetchError::Copy { path: target.to_owned(), source });
            }
            _ => {}
        }
        let complete = self.loud(&update, target).await?;
        self.check(&complete, "fetch the submodules")
    }

    /// Runs git without a line in the log: its failure may be expected.
    async fn quiet(&self, args: &[&str], dir: &Path) -> Result<Captured, FetchError> {
        self.run(arguments(args), dir, false).await
    }

    /// Runs git; what it prints goes to the log.
    async fn loud(&self, args: &[&str], dir: &Path) -> Result<Captured, FetchError> {
        self.run(arguments(args), dir, true).await
    }

    async fn run(&self, args: Vec<OsString>, dir: &Path, loud: bool) -> Result<Captured, FetchError> {
        let call = Invocation { program: &self.program, args, dir, env: &self.env };
        let captured = run_captured(&call, loud.then_some(self.log), self.stop, COMMAND_TIMEOUT).await?;
        if captured.exit.is_none() && !self.stop.is_requested() {
            let url = self.checkout.repository.url.clone();
            return Err(FetchError::GitTimeout { url, minutes: COMMAND_TIMEOUT.as_secs() / 60 });
        }
        Ok(captured)
    }

    /// Returns an error with the cause if git has failed, and puts its messages into the log.
    fn check(&self, captured: &Captured, action: &str) -> Result<(), FetchError> {
        if captured.succeeded() {
            return Ok(());
        }
        self.log.note(&captured.errors);
        Err(self.failure(action, captured).into())
    }

    fn failure(&self, action: &str, captured: &Captured) -> GitFailure {
        GitFailure::new(action, self.checkout.repository, &captured.errors)
    }
}

/// Returns the arguments of `git fetch`.
fn fetch<'a>(options: &[&'a str], references: &[&'a str]) -> Vec<&'a str> {
    let start = ["fetch", "--quiet", "--no-recurse-submodules", "--no-auto-maintenance"];
    [&start[..], options, &["--", "origin"], references].concat()
}

fn arguments(args: &[&str]) -> Vec<OsString> {
    args.iter().map(Into::into).collect()
}

#[cfg(test)]
mod tests;
