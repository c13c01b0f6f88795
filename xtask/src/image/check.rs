//! `--check`: unpacks an image and starts its programs in it, as a container would, without a container runtime.
//!
//! The root is read-only, `/tmp` is empty, the environment is that of the image. Run by root, programs get the user of the
//! image; run by anybody else, they are root of a user namespace, which is as much as the kernel allows.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};
use flate2::read::GzDecoder;

use crate::environment::Environment;

use super::{archive::Image, layer::Layer};

/// Makes a read-only container of a folder, and starts a program in it.
const ENTER: &str = r#"
root=$1; user=$2; shift 2
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
if [ "$user" = - ]; then exec chroot "$root" "$@"; fi
exec chroot --userspec="$user" "$root" "$@"
"#;

/// A program to start, with the exit code that it must have.
#[derive(Debug)]
pub(super) struct Trial {
    command: Vec<String>,
    expected: i32,
}

impl Trial {
    /// A command that must succeed.
    pub(super) fn of(words: &[&str]) -> Self {
        Self::ending_with(0, words)
    }

    /// A command that must end with an exit code.
    pub(super) fn ending_with(expected: i32, words: &[&str]) -> Self {
        Self { command: words.iter().map(|word| (*word).to_owned()).collect(), expected }
    }
}

/// Starts programs of an image.
///
/// # Errors
/// One does not start or ends otherwise than expected, or this machine does not allow such a container.
pub(super) fn run(
    environment: &Environment,
    image: &Image,
    trials: &[Trial],
    folder: &Path,
) -> anyhow::Result<()> {
    ensure!(environment.find_program("unshare").is_some(), "--check needs unshare (Debian: util-linux)");
    let root = tempfile::tempdir_in(folder).context("could not make a folder for the check")?;
    // A temporary folder is its owner's alone; the user of the image must get in.
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755))?;
    let is_root = rustix::process::geteuid().is_root();
    unpack(&image.layers, root.path(), is_root)?;
    for trial in trials {
        environment.interrupt.check()?;
        let said =
            start(root.path(), &image.settings.environment, is_root.then_some(&image.settings.user), trial)?;
        environment.ui.good(&format!("{}: {said}", trial.command.join(" ")));
    }
    Ok(())
}

/// Unpacks layers, the lowest first, and makes the folders that a container runtime would.
fn unpack(layers: &[Layer], root: &Path, with_owners: bool) -> anyhow::Result<()> {
    for layer in layers {
        let file = fs::File::open(layer.file.path()).context("could not open a layer")?;
        let mut archive = tar::Archive::new(GzDecoder::new(file));
        archive.set_preserve_permissions(true);
        archive.set_preserve_ownerships(with_owners);
        archive.unpack(root).with_context(|| format!("could not unpack layer {:?}", layer.title))?;
    }
    for folder in ["dev", "tmp"] {
        fs::create_dir_all(root.join(folder)).with_context(|| format!("could not make /{folder}"))?;
    }
    Ok(())
}

/// Runs a program, and returns the first line of what it says.
fn start(root: &Path, variables: &[String], user: Option<&String>, trial: &Trial) -> anyhow::Result<String> {
    let namespaces: &[&str] = if user.is_some() { &["--mount"] } else { &["--mount", "--map-root-user"] };
    let output = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-ec", ENTER, "sh"])
        .arg(root)
        .arg(user.map_or("-", String::as_str))
        .args(&trial.command)
        .env_clear()
        .envs(variables.iter().filter_map(|variable| variable.split_once('=')))
        // mount and chroot are this machine's, and chroot searches the program in the folders of its own path.
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .stdin(Stdio::null())
        .output()
        .context("could not start unshare")?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    if output.status.code() != Some(trial.expected) {
        bail!(
            "in the image, `{}` ended with {}, expected exit code {}: {}",
            trial.command.join(" "),
            output.status,
            trial.expected,
            text.trim()
        );
    }
    Ok(text.lines().next().unwrap_or("nothing").to_owned())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            layer,
            tree::{Kind, Node, Tree},
        },
        *,
    };

    /// A lower layer with a file, and an upper one that replaces it.
    fn layers(folder: &Path) -> Vec<Layer> {
        let mut lower = Tree::default();
        lower.file("bin/sample", 0o755, "old").unwrap();
        lower.put("tmp", Node::of_root(Kind::Folder, 0o1777)).unwrap();
        lower.link_merged_folders();
        let mut upper = Tree::default();
        upper.file("usr/bin/sample", 0o700, "new").unwrap();
        [lower, upper].iter().map(|tree| layer::write("sample", tree, 0, folder).unwrap()).collect()
    }

    #[test]
    fn an_upper_layer_lies_over_a_lower_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        unpack(&layers(folder.path()), root.path(), false).unwrap();
        let sample = root.path().join("bin/sample");
        assert_eq!(fs::read_to_string(&sample).unwrap(), "new");
        assert_eq!(fs::metadata(&sample).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(root.path().join("dev").is_dir());
    }

    #[test]
    fn a_program_that_does_not_start_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        unpack(&layers(folder.path()), root.path(), false).unwrap();
        let failed = start(root.path(), &[], None, &Trial::of(&["nothing", "--version"])).unwrap_err();
        let failed = format!("{failed:#}");
        let named = "in the image, `nothing --version` ended with exit status: ";
        assert!(failed.starts_with(named) || failed.starts_with("could not start unshare"), "{failed}");
    }
}
