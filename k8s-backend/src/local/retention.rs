//! Removes what is left of Jobs that ended long ago, and files of writes that never ended.

use std::{fs, io, path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::record::{Folder, Stage};
use crate::identity;

/// Removes the folders of Jobs whose retention has passed, and returns their names. A record that cannot be
/// read keeps its folder.
pub(super) fn remove_expired(
    directory: &Path,
    retention: Option<Duration>,
    now: Timestamp,
) -> io::Result<Vec<String>> {
    let mut removed = Vec::new();
    for item in fs::read_dir(directory)? {
        let item = item?;
        let name = item.file_name();
        let Some(name) = name.to_str().filter(|name| identity::is_job_name(name)) else { continue };
        if !item.file_type()?.is_dir() {
            continue;
        }
        let folder = Folder::new(directory, name);
        let Ok(Some(record)) = folder.load() else { continue };
        let Stage::Ended { at, .. } = record.stage else { continue };
        folder.remove_unfinished();
        let until = retention
            .and_then(|retention| SignedDuration::try_from(retention).ok())
            .and_then(|retention| at.checked_add(retention).ok());
        if until.is_some_and(|until| until <= now) {
            folder.remove()?;
            tracing::info!(job = name, "removed the folder of a Job that ended long ago");
            removed.push(name.to_owned());
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backend::Cause, local::record::Record};

    fn ended(directory: &Path, name: &str, at: Timestamp) -> Folder {
        let folder = Folder::new(directory, name);
        folder.create().unwrap();
        let mut record = Record::unreadable(name);
        record.stage = Stage::Ended { cause: Cause::Completed.into(), at };
        folder.save(&record).unwrap();
        folder
    }

    #[test]
    fn removes_folders_of_jobs_after_their_retention_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(100);
        ended(path, "job-old", now - SignedDuration::from_hours(25));
        let young = ended(path, "job-young", now - SignedDuration::from_hours(23));
        fs::write(path.join("job-young/record.json.new"), "{").unwrap();
        fs::create_dir(path.join("job-damaged")).unwrap();
        fs::write(path.join("job-damaged/record.json"), "{").unwrap();
        assert_eq!(remove_expired(path, None, now).unwrap(), [""; 0], "without a retention all stay");
        let day = Some(Duration::from_hours(24));
        assert_eq!(remove_expired(path, day, now).unwrap(), ["job-old"]);
        assert!(!path.join("job-old").exists() && path.join("job-damaged").exists());
        assert!(young.load().unwrap().is_some());
        assert!(!path.join("job-young/record.json.new").exists(), "a write that never ended");
    }
}
