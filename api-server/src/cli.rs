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
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API and run jobs.
    ///
    /// Once it is ready, it prints one line to standard output: `listening on http://ADDRESS`. Its log goes
    /// to standard error (RUST_LOG chooses the level). The token for `Authorization: Bearer` is in
    /// DATA_DIR/admin-token, unless --admin-token-file names another file.
    ///
    /// Executors are configured by the environment: ExecutorEphemeralNamespace, ExecutorEphemeralImage,
    /// ExecutorEphemeralSecret and node selectors in JAVA_TOOL_OPTIONS (docs/reference/settings.md), and by a
    /// settings file.
    Serve(Serve),

    /// Show the Kubernetes Job of a workspace, and what set each of its fields.
    ///
    /// Needs no server, no database and no cluster. Reads the platform's settings as `serve` does, from the
    /// environment and from --settings. Warnings and problems go to standard error. Values that may be secret
    /// are not shown.
    Explain(Explain),
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Folder for the store, logs, plans, states, the encryption key and the admin token; created if it is
    /// missing.
    #[arg(long)]
    pub data_dir: PathBuf,

    /// PostgreSQL database (13 or later) for several replicas, without a password:
    /// `postgres://USER@HOST:PORT/DATABASE`. [default: the file DATA_DIR/store.sqlite, for one server]
    ///
    /// The environment variable API_SERVER_DATABASE does the same, and may hold a password; so do
    /// PGPASSWORD and --database-password-file.
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,

    /// File with the password of the database.
    #[arg(long, value_name = "FILE")]
    pub database_password_file: Option<PathBuf>,

    /// Address to listen on; port 0 selects a free port.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// This server's address as executors reach it. [default: http:// and the address it listens on]
    #[arg(long)]
    pub api_url: Option<url::Url>,

    /// Where Kubernetes Jobs run.
    #[arg(long, value_enum, default_value_t = Backend::Local)]
    pub backend: Backend,

    /// The program that the local backend runs instead of the image's entry point. [default: `executor`
    /// beside this program]
    #[arg(long)]
    pub executor_program: Option<PathBuf>,

    /// TOML file with settings of executors and variables for workspaces (docs/reference/settings-file.md);
    /// it is read once, and the environment overrides it.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,

    /// TOML file with the rules for what workspaces may set (docs/reference/policy.md); it is read once.
    /// [default: a built-in policy]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// How long an executor may wait for the same condition before it starts (an image, room on a node, a
    /// Secret…), as in `90s` or `10m`. Then its step fails with the reason; nothing has run, so the job can
    /// be started again. [default: the setting `PodStartTimeout`, or 10m]
    #[arg(long, alias = "pod-start-patience", value_name = "TIME")]
    pub pod_start_timeout: Option<Seconds>,

    /// File with the key for encryption at rest: 32 bytes in base64. [default: DATA_DIR/encryption-key,
    /// created at first start]
    #[arg(long)]
    pub encryption_key_file: Option<PathBuf>,

    /// File with the administrator's token, at least 16 characters. [default: DATA_DIR/admin-token, created
    /// at first start]
    #[arg(long)]
    pub admin_token_file: Option<PathBuf>,
}

/// Where Kubernetes Jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// As processes of this machine, for evaluation, development and tests.
    Local,
    /// In the cluster of the kubeconfig, or in the cluster that this program runs in.
    Kubernetes,
}
