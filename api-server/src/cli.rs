//! The command line of the api-server.

#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use config_core::value::Seconds;

mod explain;

pub use explain::{Explain, Format, Profile};

/// Runs Terraform and OpenTofu jobs in throwaway executors: one Kubernetes Job (or local process) per step.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API and run jobs.
    ///
    /// Once it is ready, it prints one line to standard output: `listening on http://ADDRESS`. Its log goes to standard
    /// error (RUST_LOG chooses the level). The token for `Authorization: Bearer` lies in DATA_DIR/admin-token, unless
    /// --admin-token-file names another file.
    ///
    /// Executors are set up by the environment: ExecutorEphemeralNamespace, ExecutorEphemeralImage,
    /// ExecutorEphemeralSecret and node selectors in JAVA_TOOL_OPTIONS (docs/reference/settings.md), and by a settings file.
    Serve(Serve),

    /// Show the Kubernetes Job of a workspace, and what decided each field of it.
    ///
    /// Needs no server, no database and no cluster. The platform's settings are taken as `serve` takes them: from the
    /// environment and from --settings. Warnings and what is refused go to standard error. Values that may be secret are not shown.
    Explain(Explain),
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Folder for the store, logs, plans, states, the encryption key and the admin token; made if it is missing.
    #[arg(long)]
    pub data_dir: PathBuf,

    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// This server's address as executors reach it. [default: http:// and the address it listens on]
    #[arg(long)]
    pub api_url: Option<url::Url>,

    /// Where Kubernetes Jobs run.
    #[arg(long, value_enum, default_value_t = Backend::Local)]
    pub backend: Backend,

    /// The program that local Jobs run, in place of the image's entry point. [default: `executor` beside this program]
    #[arg(long)]
    pub executor_program: Option<PathBuf>,

    /// TOML file with settings of executors and variables for workspaces (docs/reference/settings-file.md); it is read once,
    /// and the environment is stronger.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,

    /// TOML file that says what workspaces may set, and to what (docs/reference/policy.md); it is read once. [default: a
    /// built-in policy]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// How long an executor may wait for one and the same thing before it starts (an image, room on a node, a Secret…), as in
    /// `90s` or `10m`. Then its step fails with the reason; nothing has run, so the job can be started again. [default: the
    /// setting `PodStartTimeout`, or 10m]
    #[arg(long, alias = "pod-start-patience", value_name = "TIME")]
    pub pod_start_timeout: Option<Seconds>,

    /// File with the key for encryption at rest: 32 bytes in base64. [default: DATA_DIR/encryption-key, made at first start]
    #[arg(long)]
    pub encryption_key_file: Option<PathBuf>,

    /// File with the administrator's token, at least 16 characters. [default: DATA_DIR/admin-token, made at first start]
    #[arg(long)]
    pub admin_token_file: Option<PathBuf>,
}

/// Where Kubernetes Jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// As processes of this machine: for trying, developing and testing.
    Local,
    /// In the cluster of the kubeconfig, or the one this program runs in.
    Kubernetes,
}
