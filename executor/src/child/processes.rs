//! The processes below one, from `/proc`.

use std::fs;

use rustix::process::Pid;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: Pid,
    pub(crate) parent: Pid,
    /// The name of its program, at most 15 characters.
    pub(crate) name: String,
    /// It has ended, and its parent has not noticed yet.
    pub(crate) is_zombie: bool,
}

/// Returns how much memory every descendant of a process has together, in bytes. What they share counts for
/// each.
pub(crate) fn resident_bytes(of: Pid) -> u64 {
    let kibibytes = |process: &Process| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", process.id.as_raw_nonzero())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    };
    descendants(of).iter().filter_map(kibibytes).sum::<u64>() * 1024
}

/// Returns every descendant of a process that `/proc` shows; none where there is no `/proc`.
pub(crate) fn descendants(of: Pid) -> Vec<Process> {
    below(of, all())
}

fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit))
        // A process may end between two looks.
        .filter_map(|entry| parse(&fs::read_to_string(entry.path().join("stat")).ok()?))
        .collect()
}

/// Parses a line of `/proc/<id>/stat`. The name is in brackets and may contain any character.
fn parse(stat: &str) -> Option<Process> {
    let (begin, rest) = stat.rsplit_once(')')?;
    let (id, name) = begin.split_once('(')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let pid = |text: &str| Pid::from_raw(text.trim().parse().ok()?);
    Some(Process {
        id: pid(id)?,
        parent: pid(fields.next()?)?,
        name: name.to_owned(),
        is_zombie: matches!(state, "Z" | "X"),
    })
}

fn below(of: Pid, mut others: Vec<Process>) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![of];
    while !parents.is_empty() {
        let (children, rest): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|process| parents.contains(&process.parent));
        parents = children.iter().map(|process| process.id).collect();
        found.extend(children);
        others = rest;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: i32, parent: i32) -> Process {
        let pid = |id| Pid::from_raw(id).unwrap();
        let name = "sh".to_owned();
        Process { id: pid(id), parent: pid(parent), name, is_zombie: false }
    }

    #[test]
    fn parses_names_with_any_character() {
        let line = "42 (a) R (b) S 7 42 42 0 -1\n";
        let found = parse(line).unwrap();
        let expected = Process { name: "a) R (b".to_owned(), ..process(42, 7) };
        assert_eq!(found, expected);
        assert!(parse("42 (x) Z 7 1").unwrap().is_zombie);
        assert_eq!(parse("1 (init) S 0 1 1"), None);
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn finds_descendants_of_every_generation() {
        let all = vec![process(9, 8), process(2, 1), process(8, 5), process(5, 4), process(6, 3)];
        let mut ids: Vec<_> = below(Pid::from_raw(4).unwrap(), all)
            .iter()
            .map(|found| found.id.as_raw_nonzero().get())
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, [5, 8, 9]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn finds_own_child() {
        let mut child =
            std::process::Command::new("/bin/cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let found = descendants(rustix::process::getpid());
        assert!(found.iter().any(|process| process.id.as_raw_nonzero().get().cast_unsigned() == child.id()));
        assert!(resident_bytes(rustix::process::getpid()) > 0);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
