//! Files of control groups as kernels write them, and where the machine allows it a real group.

use std::{fs, path::Path};

use super::{
    Group, MemoryWatch,
    groups::{groups, own_groups},
    is_short,
};
use crate::stop::Stop;

const VERSION_1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
const VERSION_2: &str = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

fn write(root: &Path, folder: &str, files: &[(&str, &str)]) {
    let folder = root.join(folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn seen(found: &[Group]) -> Vec<(Option<u64>, Option<u64>)> {
    found.iter().map(|group| (group.used(), group.limit())).collect()
}

#[test]
fn reads_groups_of_version_2_up_to_the_root() {
    let root = tempfile::tempdir().unwrap();
    let statistics = "anon 300\nfile 250\nshmem 50\ninactive_file 150\nactive_file 50\nunevictable 0\n";
    write(root.path(), "sys/fs/cgroup", &[("cgroup.procs", "1\n")]);
    write(root.path(), "sys/fs/cgroup/pods", &[("memory.current", "900\n"), ("memory.max", "1000\n")]);
    write(
        root.path(),
        "sys/fs/cgroup/pods/one",
        &[("memory.current", "500\n"), ("memory.max", "max\n"), ("memory.stat", statistics)],
    );
    let found = groups("0::/pods/one\n", VERSION_2, root.path());
    assert_eq!(seen(&found), [(Some(300), None), (Some(900), Some(1000))]);
}

#[test]
fn reads_groups_of_version_1() {
    let root = tempfile::tempdir().unwrap();
    let statistics = "cache 90\ninactive_file 1\ntotal_inactive_file 60\ntotal_active_file 20\n";
    let none = [("memory.usage_in_bytes", "700\n"), ("memory.limit_in_bytes", "9223372036854771712\n")];
    write(root.path(), "sys/fs/cgroup/memory", &none);
    write(
        root.path(),
        "sys/fs/cgroup/memory/own",
        &[
            ("memory.usage_in_bytes", "500\n"),
            ("memory.limit_in_bytes", "512\n"),
            ("memory.stat", statistics),
        ],
    );
    let cgroup = "5:cpu,cpuacct:/own\n4:memory:/own\n0::/elsewhere\n";
    let found = groups(cgroup, &format!("{VERSION_2}{VERSION_1}"), root.path());
    assert_eq!(seen(&found), [(Some(420), Some(512)), (Some(700), None)]);
    // In a container without a namespace of its own, its group is mounted as the root.
    let mounted = VERSION_1.replace(" / /sys", " /kubepods/pod1/c1 /sys");
    let found = groups("4:memory:/kubepods/pod1/c1/own\n", &mounted, root.path());
    assert_eq!(found.len(), 2);
    assert_eq!(seen(&groups("4:memory:/other\n", &mounted, root.path())), [(Some(700), None)]);
    assert_eq!(groups("nonsense", "nonsense", root.path()), []);
}

#[test]
fn leaves_a_reserve_within_bounds() {
    const MIB: u64 = 1024 * 1024;
    for (used, limit, expected) in [
        (479 * MIB, 512 * MIB, false),
        (480 * MIB, 512 * MIB, true),
        (55 * MIB, 64 * MIB, false),
        (56 * MIB, 64 * MIB, true),
        (15 * 1024 * MIB, 16 * 1024 * MIB, false),
        (16 * 1024 * MIB - 256 * MIB, 16 * 1024 * MIB, true),
        (0, 4 * MIB, true),
    ] {
        assert_eq!(is_short(used, limit), expected, "{used} of {limit}");
    }
}

#[tokio::test]
async fn reports_the_peak_and_stops_no_step_for_memory_of_others() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("sys/fs/cgroup/own");
    // Far more than this test has children for.
    let much = (1u64 << 45).to_string();
    write(root.path(), "sys/fs/cgroup/own", &[("memory.current", &much), ("memory.max", &much)]);
    let stop = Stop::default();
    let watch = MemoryWatch::of_files("0::/own\n", VERSION_2, root.path(), &stop);
    let mut found = watch.measured();
    while watch.peak.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    fs::write(folder.join("memory.current"), "1000").unwrap();
    assert_eq!(found.take(), watch.measured());
    assert_eq!(watch.measured().unwrap().peak_bytes, 1 << 45);
    assert_eq!(watch.measured().unwrap().limit_bytes, Some(1 << 45));
    assert!(!stop.is_requested());
}

#[cfg(target_os = "linux")]
#[test]
fn finds_groups_of_this_machine() {
    // A machine may have none, but what is found can be read.
    for group in own_groups() {
        assert!(group.used().is_some());
    }
}
